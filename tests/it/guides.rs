//! The guides in docs/: their commands run as they stand there, and what they show of files is what the files say.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::support::markdown::{Block, blocks, crontab, run};
use crate::support::postgres::{Server, Session};
use crate::support::{Engine, TestEnv, TestReceiver, closed_port, installed};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What the operator of the guide has: a receiver, a webhook, and an event that was delivered.
const BEFORE: &str = "
    hookctl webhook create sales --url https://crm.example.com/sales -e 'invoice.*' > sales.txt
    hookctl emit invoice.paid --data '{}' > emitted.txt
";

#[test]
fn the_commands_of_receiving_run() {
    let guide = Guide::run("receiving", "");
    assert_eq!(guide.requests(), 0, "it listens itself");
    assert!(guide.told.contains("valid (timetracker, standard)"), "{}", guide.told);
}

#[test]
fn the_commands_of_developing_lead_to_a_receiver_that_passes_its_probe() {
    if installed(&["python3"], "python3").is_none() {
        return;
    }
    let guide = Guide::run("developing", "");
    assert_eq!(guide.requests(), 0, "it has a receiver of its own");
    for found in ["valid (standard)", "16 passed, 0 failed, 1 not judged", "1 passed, 0 failed, 0 not judged"] {
        assert!(guide.told.contains(found), "{found}: {}", guide.told);
    }
    let report = fs::read_to_string(guide.env.path().join("probe.xml")).unwrap();
    assert!(report.contains(" tests=\"17\" failures=\"0\""), "{report}");
}

#[test]
fn the_commands_of_outbox_run() {
    needs_postgres!();
    let hooks = Server::take();
    let (hookctl, shop) = (hooks.url(), hooks.url_as("stranger"));
    let names = [
        ("postgres://hookctl@db.example.com/shop", hookctl.as_str()),
        ("postgres://shop@db.example.com/shop", shop.as_str()),
        ("--grant shop", "--grant stranger"),
    ];
    let before = "hookctl webhook create crm --url https://crm.example.com/ -e 'order.*' > crm.txt\n";
    let guide = Guide::run_on(TestEnv::new(), "outbox", before, &names);
    assert_eq!(guide.requests(), 2, "{}", guide.told);
    let events = hooks.session().value("SELECT count(*) FROM events WHERE key = 'customer-7'");
    assert_eq!(events, "1");
}

#[test]
fn the_commands_of_shaping_run() {
    let guide = Guide::run("shaping", "");
    for told in ["belongs to bolt", "no: its filter says no", "\"amount\":1200.00", "Invoice paid: Example invoice"] {
        assert!(guide.told.contains(told), "{told}: {}", guide.told);
    }
    assert_eq!(guide.requests(), 11, "{}", guide.told);
    let text = fs::read_to_string(Path::new(ROOT).join("docs/shaping.md")).unwrap();
    let table = text.split("| what for | expression |").nth(1).unwrap().split("\n\n").next().unwrap();
    let expressions = table.lines().skip(2).filter_map(|line| line.rsplit("| `").next()?.strip_suffix("` |"));
    let expressions: Vec<String> = expressions.map(|expression| expression.replace("\\|", "|")).collect();
    assert!(expressions.len() >= 5, "{expressions:?}");
    for expression in &expressions {
        guide.env.hookctl(["webhook", "update", "crm", "--transform", expression]).run().ok();
    }
}

#[test]
fn the_commands_of_secrets_run() {
    let guide = Guide::run("secrets", "");
    assert_eq!(guide.requests(), 2, "two tests");
    let live = guide.env.sql_value("SELECT count(*) FROM secrets WHERE NOT is_ed25519");
    assert_eq!(live, "1", "no overlap is left");
    assert!(!guide.env.path().join("new.secret").exists());
    assert!(guide.told.ends_with("valid (standard)\n") || guide.told.ends_with("valid\n"), "{}", guide.told);
}

#[test]
fn the_commands_of_egress_run() {
    if installed(&["openssl"], "openssl").is_none() {
        return;
    }
    let guide = Guide::run("egress", "");
    assert_eq!(guide.requests(), 0, "it sets up webhooks alone");
    let list = guide.env.hookctl(["webhook", "show", "crm", "-o", "json"]).run().ok().json();
    assert_eq!(
        (&list["has_ca_cert"], &list["proxy"]),
        (&true.into(), &"http://hookctl@proxy.corp.example:3128".into())
    );
}

#[test]
fn the_commands_of_troubleshooting_catch_up_after_an_outage() {
    // A receiver that was down, one delivery that is to be retried, one that was given up, and one missed meanwhile.
    let before = "
        hookctl webhook create crm --url http://127.0.0.1:9/ -e 'invoice.*' > crm.txt
        hookctl emit invoice.paid --data '{}' > emitted.txt
        hookctl webhook update crm --max-retries 0 > crm.txt
        hookctl emit invoice.sent --data '{}' > emitted.txt
        hookctl webhook disable crm > crm.txt
        hookctl emit invoice.overdue --data '{}' > emitted.txt
        hookctl webhook update crm --url https://crm.example.com/hooks > crm.txt
    ";
    let guide = Guide::run("troubleshooting", before);
    let sent: Vec<_> =
        guide.receiver.requests().iter().map(|sent| sent.header("x-webhook-event").unwrap().to_owned()).collect();
    for event_type in ["webhook.test", "invoice.paid", "invoice.sent", "invoice.overdue"] {
        assert!(sent.iter().any(|sent| sent == event_type), "{event_type}: {sent:?}\n{}", guide.told);
    }
    let delivered = guide.env.sql_value("SELECT count(*) FROM deliveries WHERE status = 'success'");
    assert_eq!(delivered, "4", "{}", guide.told);
}

#[test]
fn the_commands_of_monitoring_run() {
    let guide = Guide::run("monitoring", BEFORE);
    assert!(guide.told.starts_with("OK - "), "{}", guide.told);
    for file in ["hookctl.prom", "report.html", "crontab/hookctl.prom"] {
        assert!(guide.env.path().join(file).metadata().is_ok_and(|file| file.len() > 500), "{file}");
    }
}

#[test]
fn the_commands_of_backup_run() {
    only_on_files!();
    let guide = Guide::run("backup", BEFORE);
    let backups = fs::read_dir(guide.env.path().join("crontab")).unwrap();
    assert_eq!(backups.count(), 1, "cron makes one too");
}

#[test]
fn the_commands_of_postgres_move_a_file_to_a_server_and_save_it() {
    needs_postgres!();
    let cluster = Server::cluster();
    let (admin, hooks) = (cluster.url("postgres", "postgres"), cluster.url("tester", "hooks"));
    let names = [
        ("postgres://postgres@db.example.com/postgres", admin.as_str()),
        ("postgres://hookctl@db.example.com/hooks", hooks.as_str()),
        ("OWNER hookctl", "OWNER tester"),
    ];
    let guide = Guide::run_on(TestEnv::on(Engine::File), "postgres", BEFORE, &names);
    assert_eq!(guide.requests(), 1, "what was delivered is not sent again");
    let dump = guide.env.path().join("hooks.dump");
    assert!(dump.metadata().is_ok_and(|dump| dump.len() > 5_000));
    assert_eq!(Session::open(&hooks).value("SELECT count(*) FROM deliveries WHERE status = 'success'"), "1");
}

#[test]
fn the_commands_of_timetracker_move_its_webhooks_and_their_receivers_notice_nothing() {
    let guide = Guide::run("timetracker", "");
    assert!(!guide.env.path().join("webhooks.json").exists(), "it held the secrets");
    let list = guide.env.hookctl(["webhook", "list", "-o", "json"]).run().ok().json();
    let [old, moved] = &list.as_array().unwrap()[..] else { panic!("{list}") };
    assert_eq!(
        (&moved["name"], &moved["max_retries"], &moved["timeout_seconds"]),
        (&"CRM".into(), &5.into(), &7.into())
    );
    assert_eq!((&moved["headers"]["X-Team"], &moved["owner"]), (&"sales".into(), &"user-3".into()));
    assert_eq!((&old["is_active"], &old["signature_schemes"]), (&false.into(), &serde_json::json!([])));
    let request = guide.receiver.requests().remove(0);
    assert_eq!((request.method.as_str(), request.header("x-team")), ("PUT", Some("sales")));
    assert_eq!(request.header("x-webhook-event"), Some("project.created"));
    let envelope: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(envelope["user"]["username"], "john");
    // TimeTracker's own computation, by another program.
    let openssl = "openssl dgst -sha256 -hmac 'its old secret' -hex body | sed 's/.* /sha256=/'";
    fs::write(guide.env.path().join("body"), &request.body).unwrap();
    assert_eq!(Some(run(&guide.env, openssl).ok().text().trim_end()), request.header("x-webhook-signature"));
}

#[test]
fn what_guides_show_of_files_is_what_the_files_say() {
    let mut shown = 0;
    for path in guides() {
        let text = fs::read_to_string(&path).unwrap();
        let mut current = text.clone();
        for block in blocks(&text).into_iter().rev() {
            let Some(file) = file_of(&block) else { continue };
            let start: usize = text.split_inclusive('\n').take(block.line).map(str::len).sum();
            let source = fs::read_to_string(Path::new(ROOT).join(file)).unwrap();
            assert!(!source.contains("\n```"), "{file} would end its block");
            current.replace_range(start..start + block.code.len(), &source);
            shown += 1;
        }
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &current).unwrap();
        } else {
            assert!(current == text, "{} is stale: UPDATE=1 cargo test --locked --test it guides", path.display());
        }
    }
    assert_eq!(shown, 16);
}

#[test]
fn every_block_is_of_a_kind_that_is_checked() {
    for path in guides() {
        for block in blocks(&fs::read_to_string(&path).unwrap()) {
            let known = ["sh", "crontab", "toml", "yaml", "text"].contains(&block.language.as_str());
            assert!(known || file_of(&block).is_some(), "{}:{}: {}", path.display(), block.line, block.language);
            let is_command = |line: &str| line.starts_with("hookctl ");
            let unchecked = block.language == "text" && block.code.lines().any(is_command);
            assert!(!unchecked, "{}:{}: commands are `sh`", path.display(), block.line);
        }
    }
}

#[test]
fn the_alert_rules_are_prometheus_rules() {
    let Some(promtool) = installed(&["promtool"], "prometheus") else { return };
    let env = TestEnv::new();
    let text = fs::read_to_string(Path::new(ROOT).join("docs/monitoring.md")).unwrap();
    let rules = blocks(&text).into_iter().find(|block| block.language == "yaml").unwrap();
    env.file("rules.yml", &rules.code);
    let checked = run(&env, &format!("{promtool} check rules rules.yml")).ok();
    assert!(checked.text().contains("SUCCESS: 5 rules found"), "{checked:?}");
    let metrics = env.hookctl(["webhook", "create", "a", "--url", "http://127.0.0.1:9/", "-e", "*"]);
    metrics.run().ok();
    let metrics = env.hookctl(["metrics"]).run().ok().text();
    let names = text.split(|c: char| !c.is_ascii_lowercase() && c != '_').filter(|word| word.starts_with("hookctl_"));
    for name in names {
        assert!(metrics.contains(&format!("# TYPE {name} ")), "{name} is no metric");
    }
}

/// A guide whose commands were run.
struct Guide {
    env: TestEnv,
    receiver: TestReceiver,
    told: String,
}

impl Guide {
    /// Runs all its commands in one shell, after those of `before`, and then its crontab lines, which must be silent.
    #[track_caller]
    fn run(name: &str, before: &str) -> Guide {
        Guide::run_on(TestEnv::new(), name, before, &[])
    }

    /// The same in that environment, with other names for what the guide calls so.
    #[track_caller]
    fn run_on(env: TestEnv, name: &str, before: &str, names: &[(&str, &str)]) -> Guide {
        let receiver = TestReceiver::start(200);
        let text = fs::read_to_string(Path::new(ROOT).join("docs").join(name).with_extension("md")).unwrap();
        let crontab_folder = env.path().join("crontab");
        fs::create_dir(&crontab_folder).unwrap();
        let here = |code: &str| {
            // A test has its own receiver, a free port, and no right to the system's folders.
            code.replace("https://crm.example.com/", &receiver.url())
                .replace("https://hooks.slack.com/", &receiver.url())
                .replace("8000", &closed_port().port().to_string())
                .replace("8001", &closed_port().port().to_string())
                .replace("/var/lib/prometheus/node-exporter", crontab_folder.to_str().unwrap())
                .replace("/var/backups/hookctl", crontab_folder.to_str().unwrap())
                .replace("/srv/shop", env.path().to_str().unwrap())
        };
        let here = |code: &str| names.iter().fold(here(code), |code, (name, meant)| code.replace(name, meant));
        time_tracker(&env, &receiver.url());
        let settings = format!("export HOOKCTL_ALLOW_NETWORKS=127.0.0.0/8 HOOKCTL_DB='{}'\n", env.address().display());
        let mut cron = Vec::new();
        let mut commands = String::new();
        for block in blocks(&text) {
            match block.language.as_str() {
                "sh" => commands += &format!(": line {}\n{}", block.line, block.code),
                "crontab" => cron.extend(crontab(&block.code)),
                "toml" => drop(env.file("webhooks.toml", here(&block.code))),
                _ => {
                    if let Some(file) = file_of(&block) {
                        env.file(file.rsplit('/').next().unwrap_or(file), &block.code);
                    }
                }
            }
        }
        assert!(commands.contains("\nhookctl "), "{name} has no commands");
        let ran = run(&env, &format!("{settings}{}", here(&(before.to_owned() + &commands)))).ok();
        for command in cron {
            // Cron mails what a command says; some end with grep, whose code tells what it found.
            let quiet = run(
                &env,
                &format!(
                    "{settings}set +e
{}",
                    here(&command)
                ),
            );
            assert_eq!((quiet.text().as_str(), quiet.err().as_str()), ("", ""), "{command}");
        }
        Guide { told: ran.text(), env, receiver }
    }

    fn requests(&self) -> usize {
        self.receiver.requests().len()
    }
}

/// TimeTracker's table of webhooks, with two in it.
fn time_tracker(env: &TestEnv, url: &str) {
    let database = Connection::open(env.path().join("timetracker.db")).unwrap();
    let webhooks = format!(
        "CREATE TABLE webhooks (id INTEGER PRIMARY KEY, name VARCHAR(200), description TEXT, url VARCHAR(500), secret VARCHAR(128),
            events JSON, http_method VARCHAR(10), content_type VARCHAR(50), headers JSON, is_active BOOLEAN, user_id INTEGER,
            max_retries INTEGER, retry_delay_seconds INTEGER, timeout_seconds INTEGER, total_deliveries INTEGER);
        INSERT INTO webhooks VALUES
            (1, 'CRM', 'for \"sales\"', '{url}', 'its old secret', '[\"project.created\", \"task.completed\"]', 'PUT',
                'application/json', '{{\"X-Team\": \"sales\"}}', 1, 3, 5, 60, 7, 12),
            (2, 'Old', NULL, '{url}old', NULL, '[\"*\"]', 'POST', 'application/json', NULL, 0, 1, 3, 60, 30, 0);"
    );
    database.execute_batch(&webhooks).unwrap();
}

/// The file that a block shows: the line before it ends with its path.
fn file_of(block: &Block) -> Option<&str> {
    let path = block.before.strip_suffix("`:")?.rsplit('`').next()?;
    path.starts_with("examples/").then_some(path)
}

fn guides() -> Vec<PathBuf> {
    let files = fs::read_dir(Path::new(ROOT).join("docs")).unwrap();
    files.map(|file| file.unwrap().path()).filter(|path| path.is_file()).collect()
}
