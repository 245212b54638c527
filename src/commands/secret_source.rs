//! The options that give a secret: never as an argument.

use clap::Args;

use super::arguments::read_input;
use crate::domain::credential::Source;
use crate::domain::secret::Secret;
use crate::error::Failure;
use crate::settings;

/// The options that give a secret.
#[derive(Args, Clone, Debug, Default)]
#[group(multiple = false)]
pub struct SecretSource {
    /// Read the secret from a file; one final newline is removed
    #[arg(long, value_name = "FILE", help_heading = "Secret")]
    pub secret_file: Option<String>,
    /// Read the secret from an environment variable
    #[arg(long, value_name = "VAR", help_heading = "Secret")]
    pub secret_env: Option<String>,
    /// Read the secret from stdin; one final newline is removed
    #[arg(long, help_heading = "Secret")]
    pub secret_stdin: bool,
}

/// The size limit of a file with a secret, in bytes, so that an endless device is refused.
const LONGEST: usize = 4_096;

impl SecretSource {
    pub fn is_given(&self) -> bool {
        self.secret_file.is_some() || self.secret_env.is_some() || self.secret_stdin
    }

    /// The option that was given, for messages.
    pub fn option(&self) -> &'static str {
        match self {
            SecretSource { secret_file: Some(_), .. } => "--secret-file",
            SecretSource { secret_env: Some(_), .. } => "--secret-env",
            _ => "--secret-stdin",
        }
    }

    /// The source of the secret; `None` for stdin.
    pub fn source(&self) -> Option<Source> {
        let path =
            |name: &String| std::path::absolute(name).ok().and_then(|path| path.into_os_string().into_string().ok());
        let file = self.secret_file.as_ref().and_then(path).map(Source::File);
        self.secret_env.clone().map(Source::Env).or(file)
    }

    /// The secret of a webhook, if an option was given: one line of text.
    pub fn read(&self) -> Result<Option<Secret>, Failure> {
        self.read_as(self.option())
    }

    /// The same, with errors that name the source `option`.
    pub fn read_as(&self, option: &str) -> Result<Option<Secret>, Failure> {
        let Some(bytes) = self.bytes(option)? else { return Ok(None) };
        let text = String::from_utf8(bytes).map_err(|_| Failure::option(option, "the secret is not UTF-8"))?;
        Secret::parse(text).map(Some).map_err(|error| Failure::option(option, error))
    }

    /// The key of any sender, if an option was given: any bytes.
    pub fn read_key(&self) -> Result<Option<Secret>, Failure> {
        let Some(bytes) = self.bytes(self.option())? else { return Ok(None) };
        Secret::parse_key(bytes).map(Some).map_err(|error| Failure::option(self.option(), error))
    }

    fn bytes(&self, option: &str) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            SecretSource { secret_file: Some(file), .. } if file == "-" => {
                Err(Failure::option(option, "use --secret-stdin to read the secret from stdin"))
            }
            SecretSource { secret_file: Some(file), .. } => bytes_of(option, file).map(Some),
            SecretSource { secret_env: Some(variable), .. } => settings::secret_variable(option, variable).map(Some),
            SecretSource { secret_stdin: true, .. } => bytes_of(option, "-").map(Some),
            _ => Ok(None),
        }
    }
}

fn bytes_of(option: &str, name: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = read_input(option, name, LONGEST).map_err(|failure| {
        // The user may have given the secret itself as the name.
        Failure { message: failure.message.replace(&format!("'{name}'"), "the file"), ..failure }
    })?;
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    Ok(bytes)
}
