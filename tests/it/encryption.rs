//! Secrets and credentials encrypted at rest: in no file in clear, without the key what needs none works, and a kill at any
//! moment leaves a database that the next run finishes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::Duration;

use crate::support::{Hookctl, Run, TestEnv, TestReceiver};

const TOKEN: &str = "Bearer in-the-header-0123456789";
const SECRET: &str = "in-the-secret-0123456789";

fn filled(count: usize) -> (TestEnv, TestReceiver) {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    for number in 0..count {
        let name = format!("crm{number}");
        let create = ["webhook", "create", &name, "--url", &receiver.url(), "-e", "*", "--secret-env", "S"];
        let run = env.hookctl(create).args(["--header-env", "Authorization=T"]).env("S", SECRET).env("T", TOKEN);
        run.run().ok();
    }
    (env, receiver)
}

fn with_key(env: &TestEnv, key: &str, arguments: &[&str]) -> Hookctl {
    env.hookctl(arguments.iter().copied()).env("HOOKCTL_KEY_FILE", env.path().join(key))
}

/// Whether some file of the folder, or row on the server, holds a credential in clear.
fn is_in_clear(env: &TestEnv) -> bool {
    env.holds_any(&[TOKEN, SECRET])
}

fn delivers(env: &TestEnv, key: &str) -> Run {
    with_key(env, key, &["emit", "task.created", "--data", "{}", "--strict"]).run()
}

#[test]
fn after_encrypt_no_file_and_no_row_holds_a_credential_and_with_the_key_everything_is_as_before() {
    let (env, receiver) = filled(2);
    assert!(is_in_clear(&env));
    env.hookctl(["db", "encrypt", "--key-file", "key"]).run().ok();
    let metadata = fs::metadata(env.path().join("key")).unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (32, 0o600));
    assert!(!is_in_clear(&env));
    let info = env.hookctl(["db", "info", "-o", "json"]).run().ok().json();
    assert_eq!(info["credentials"], serde_json::json!({"encrypted": 4, "in_clear": 0, "key_file": null}));
    delivers(&env, "key").ok();
    assert_eq!(receiver.requests()[0].header("authorization"), Some(TOKEN));
    let verify = ["verify", "-w", "crm0", "--signature", "sha256=00"];
    with_key(&env, "key", &verify).stdin("{}").run().fails(4);
    with_key(&env, "key", &["webhook", "secret", "rotate", "crm0"]).run().ok();
    with_key(&env, "key", &["webhook", "create", "new", "--url", &receiver.url(), "-e", "*"]).run().ok();
    if !env.is_on_server() {
        with_key(&env, "key", &["db", "backup", "copy.db"]).run().ok();
    }
    assert!(!is_in_clear(&env), "what is written from now on is encrypted, and copies are");
    with_key(&env, "key", &["db", "decrypt"]).run().ok();
    env.hookctl(["emit", "task.created", "--data", "{}", "--strict"]).run().ok();
    assert_eq!(env.hookctl(["webhook", "secret", "reveal", "crm1"]).run().ok().text().lines().next(), Some(SECRET));
}

#[test]
fn without_the_key_what_needs_no_credential_works_and_what_does_stores_nothing() {
    let (env, receiver) = filled(1);
    env.hookctl(["db", "encrypt", "--key-file", "key"]).run().ok();
    for works in [
        &["webhook", "list"][..],
        &["webhook", "show", "crm0"],
        &["emit", "task.created", "--data", "{}", "--enqueue"],
        &["delivery", "list"],
        &["event", "list"],
        &["webhook", "update", "crm0", "--description", "new"],
        &["check"],
        &["stats"],
        &["db", "check"],
        &["db", "info"],
        &["export"],
        &["event", "list"],
        &["delivery", "show", "1"],
        &["delivery", "show", "1", "-o", "json"],
        &["drain", "--dry-run"],
    ] {
        env.hookctl(works.iter().copied()).run().ok();
    }
    let events = env.sql_value("SELECT count(*) FROM events");
    for needs in [
        &["emit", "task.created", "--data", "{}"][..],
        &["drain"],
        &["webhook", "test", "crm0"],
        &["webhook", "secret", "reveal", "crm0"],
        &["webhook", "create", "new", "--url", "http://127.0.0.1:9/", "-e", "*"],
        &["db", "rotate-key", "--new-key-file", "other"],
        &["db", "decrypt"],
    ] {
        let run = env.hookctl(needs.iter().copied()).run().fails(1);
        assert!(run.err().contains("HOOKCTL_KEY_FILE"), "{run:?}");
    }
    assert_eq!(env.sql_value("SELECT count(*) FROM webhooks"), "1");
    assert_eq!((env.sql_value("SELECT count(*) FROM events"), receiver.count()), (events, 0));
    with_key(&env, "key", &["drain", "--strict"]).run().ok();
    assert_eq!(receiver.count(), 1);
}

#[test]
fn a_drain_without_the_key_sends_what_needs_none_and_leaves_the_rest_due() {
    let (env, receiver) = filled(1);
    env.hookctl(["db", "encrypt", "--key-file", "key"]).run().ok();
    env.create("plain", &receiver.url_at("/plain"), &["--no-secret"]);
    for _ in 0..2 {
        env.hookctl(["emit", "task.created", "--data", "{}", "--enqueue"]).run().ok();
    }
    env.file("other", [7; 32]);
    for (drain, reason) in [
        (env.hookctl(["drain", "-o", "json"]), "there is no key"),
        (with_key(&env, "other", &["drain", "-o", "json"]), "encrypted with another key"),
        (with_key(&env, "missing", &["drain", "-o", "json"]), "cannot read"),
    ] {
        let run = drain.run().fails(1);
        let told = run.json();
        assert_eq!((&told["remaining_due"], &told["retrying"], &told["failed"]), (&2.into(), &0.into(), &0.into()));
        assert!(run.err().contains("deliveries to crm0 stay due: ") && run.err().contains(reason), "{run:?}");
        assert_eq!(run.err().lines().filter(|line| line.contains("stay due")).count(), 1, "{run:?}");
    }
    assert_eq!(receiver.requests().iter().map(|request| request.path.as_str()).collect::<Vec<_>>(), ["/plain"; 2]);
    let state = env.hookctl(["webhook", "show", "crm0", "-o", "json"]).run().ok().json();
    assert_eq!((&state["condition"], &state["last_failure_at"]), (&serde_json::Value::Null, &serde_json::Value::Null));
    assert_eq!(
        env.sql_value(
            "SELECT count(*) FROM attempts a JOIN deliveries d ON d.id = a.delivery_id WHERE d.webhook_id = 1"
        ),
        "0"
    );
    with_key(&env, "key", &["drain", "--strict"]).run().ok();
    assert_eq!(receiver.count(), 4);
    env.hookctl(["drain"]).run().ok();
}

#[test]
fn emit_retry_and_resend_without_the_key_send_to_receivers_that_need_none() {
    let (env, receiver) = filled(1);
    env.hookctl(["db", "encrypt", "--key-file", "key"]).run().ok();
    env.create("plain", &receiver.url_at("/plain"), &["--no-secret"]);
    let emit = ["emit", "task.created", "--data", "{}", "--strict", "--event-id"];
    env.hookctl(emit).args(["e-1", "-w", "plain"]).run().ok();
    env.hookctl(["emit", "--batch", "-", "-w", "plain"]).stdin("{\"type\":\"a.b\",\"data\":1}\n").run().ok();
    for refused in [&emit[..5], &["emit", "--batch", "-"], &["webhook", "test", "crm0"]] {
        let run = env.hookctl(refused.iter().copied()).stdin("{\"type\":\"a.b\",\"data\":1}\n").run().fails(1);
        assert!(run.err().contains("there is no key"), "{run:?}");
    }
    env.hookctl(["webhook", "test", "plain"]).run().ok();
    assert_eq!(env.sql_value("SELECT count(*) FROM events"), "3");
    env.hookctl(["webhook", "pause", "crm0"]).run().ok();
    env.hookctl(emit).args(["e-2", "-w", "plain", "-w", "crm0"]).run().fails(5);
    env.hookctl(["webhook", "resume", "crm0"]).run().ok();
    let resent = env.hookctl(["event", "resend", "e-1", "-w", "crm0"]).run().fails(1);
    assert!(resent.err().contains("deliveries to crm0 stay due"), "{resent:?}");
    env.hookctl(["delivery", "retry", "1"]).run().ok();
    assert_eq!(receiver.count(), 5);
    with_key(&env, "key", &["drain", "--strict"]).run().ok();
    assert_eq!(receiver.count(), 7);
}

#[test]
fn without_the_key_a_delivery_and_an_export_are_shown_without_what_needs_it() {
    let (env, receiver) = filled(1);
    let request = |run: Hookctl| run.args(["delivery", "show", "1", "-o", "json"]).run().ok().json()["request"].clone();
    env.hookctl(["emit", "task.created", "--data", "{}"]).run().ok();
    let (before, exported) = (request(env.hookctl::<&str>([])), env.hookctl(["export"]).run().ok().text());
    env.hookctl(["db", "encrypt", "--key-file", "key"]).run().ok();
    assert_eq!(request(env.hookctl::<&str>([]).env("HOOKCTL_KEY_FILE", env.path().join("key"))), before);
    let without = request(env.hookctl::<&str>([]));
    assert_eq!(without["headers"]["X-Webhook-Signature"], "***", "{without}");
    for known in ["X-Webhook-Delivery", "Authorization", "User-Agent"] {
        assert_eq!(without["headers"][known], before["headers"][known]);
    }
    assert_eq!(env.hookctl(["export"]).run().ok().text(), exported);
    env.hookctl(["export", "--with-secrets"]).run().fails(1);
    assert_eq!(receiver.count(), 1);
}

#[test]
fn to_encrypt_with_another_key_names_rotate_key_and_makes_no_file() {
    let (env, _receiver) = filled(1);
    env.hookctl(["db", "encrypt", "--key-file", "key"]).run().ok();
    env.file("there", [7; 32]);
    for name in ["new", "there"] {
        let encrypt = ["db", "encrypt", "--key-file", name];
        for run in [env.hookctl(encrypt).run(), with_key(&env, "key", &encrypt).run()] {
            let told = run.fails(2).err();
            assert!(told.contains("encrypted with another key already") && told.contains("db rotate-key"), "{told}");
        }
    }
    assert!(!env.path().join("new").exists());
    env.hookctl(["db", "encrypt", "--key-file", "key"]).run().ok();
    delivers(&env, "key").ok();
}

#[test]
fn to_encrypt_a_database_without_credentials_says_that_the_key_comes_first() {
    let env = TestEnv::new();
    let run = env.hookctl(["db", "encrypt", "--key-file", "key", "-o", "json"]).run().ok();
    assert_eq!(run.json(), serde_json::json!({"changed": 0, "is_encrypted": false}));
    assert!(run.err().contains("not encrypted yet") && run.err().contains("HOOKCTL_KEY_FILE=key"), "{run:?}");
    let encrypt = ["db", "encrypt", "--key-file", "key"];
    assert!(env.hookctl(encrypt).run().ok().text().starts_with("nothing to encrypt"));
    assert!(!with_key(&env, "key", &encrypt).run().ok().err().contains("not encrypted yet"), "the key is named");
    let create = ["webhook", "create", "crm", "--url", "http://127.0.0.1:9/", "-e", "*", "--secret-env", "S"];
    with_key(&env, "key", &create).env("S", SECRET).run().ok();
    assert!(!is_in_clear(&env));
    assert_eq!(with_key(&env, "key", &encrypt).run().ok().text(), "nothing to do: all are encrypted with the key\n");
}

#[test]
fn to_rotate_the_key_of_a_database_in_clear_is_refused_and_makes_no_file() {
    let (env, _receiver) = filled(1);
    for run in [env.hookctl::<&str>([]), env.hookctl::<&str>([]).env("HOOKCTL_KEY", "07".repeat(32))] {
        let told = run.args(["db", "rotate-key", "--new-key-file", "new"]).run().fails(2).err();
        assert!(told.contains("not encrypted") && told.contains("`hookctl db encrypt --key-file FILE`"), "{told}");
    }
    assert!(is_in_clear(&env) && !env.path().join("new").exists());
}

#[test]
fn to_encrypt_with_another_key_is_refused_where_the_header_of_an_event_alone_is_encrypted() {
    let env = TestEnv::new();
    env.file("key", [7; 32]);
    let emit = ["emit", "task.created", "--enqueue", "-H", "Authorization: Bearer x"];
    with_key(&env, "key", &emit).run().ok();
    env.hookctl(["db", "encrypt", "--key-file", "new"]).run().fails(2);
    assert!(!env.path().join("new").exists());
}

#[test]
fn another_key_seals_nothing_whatever_command_brings_the_credential() {
    let (env, receiver) = filled(1);
    env.hookctl(["db", "encrypt", "--key-file", "key"]).run().ok();
    env.file("other", [7; 32]);
    env.file("new.toml", format!("[[webhooks]]\nname = \"new\"\nurl = \"{}\"\nevents = [\"*\"]\n", receiver.url()));
    env.file("batch", "{\"type\":\"a.b\",\"data\":1,\"headers\":{\"Authorization\":\"Bearer x\"}}\n");
    env.hookctl(["outbox", "init", "app.db"]).run().ok();
    let app = rusqlite::Connection::open(env.path().join("app.db")).unwrap();
    let row = "INSERT INTO hookctl_outbox (event_type, data, headers) VALUES ('a.b', '1', '{\"Authorization\":\"Bearer x\"}')";
    app.execute(row, []).unwrap();
    let stored = || {
        ["webhooks", "secrets", "credentials", "events"]
            .map(|table| env.sql_value(&format!("SELECT count(*) FROM {table}")))
    };
    let before = stored();
    let (url, header) = (receiver.url(), "Authorization: Bearer x");
    for refused in [
        &["webhook", "create", "new", "--url", &url, "-e", "*"][..],
        &["webhook", "create", "new", "--url", &url, "-e", "*", "--no-secret", "-H", header],
        &["webhook", "update", "crm0", "-H", header],
        &["webhook", "secret", "rotate", "crm0"],
        &["webhook", "secret", "rotate", "crm0", "--overlap", "0"],
        &["apply", "new.toml"],
        &["emit", "a.b", "--enqueue", "-H", header],
        &["emit", "--batch", "batch", "--enqueue"],
        &["drain", "--outbox", "app.db"],
    ] {
        let run = with_key(&env, "other", refused).run().fails(1);
        assert!(run.err().contains("the secrets of the database are encrypted with another key"), "{run:?}");
        assert_eq!(stored(), before, "{refused:?}");
    }
    with_key(&env, "other", &["emit", "a.b", "--enqueue", "-w", "crm0"]).run().ok();
    with_key(&env, "key", &["drain", "--outbox", "app.db", "--strict"]).run().ok();
    assert_eq!(receiver.count(), 2);
    with_key(&env, "key", &["db", "rotate-key", "--new-key-file", "next"]).run().ok();
    with_key(&env, "next", &["db", "decrypt"]).run().ok();
}

#[test]
fn another_key_seals_nothing_where_the_header_of_an_event_alone_is_encrypted() {
    let env = TestEnv::new();
    env.file("key", [7; 32]);
    env.file("other", [8; 32]);
    let emit = ["emit", "a.b", "--enqueue", "-H", "Authorization: Bearer x"];
    with_key(&env, "key", &emit).run().ok();
    env.hookctl(["emit", "a.b", "--enqueue", "-H", "X-Plain: x"]).run().ok();
    let create = ["webhook", "create", "crm", "--url", "http://127.0.0.1:9/", "-e", "*"];
    for refused in [&emit[..], &create] {
        let run = with_key(&env, "other", refused).run().fails(1);
        assert!(run.err().contains("encrypted with another key"), "{run:?}");
    }
    for works in [&emit[..], &create] {
        with_key(&env, "key", works).run().ok();
    }
}

#[test]
fn a_key_that_cannot_be_rotated_leaves_no_new_key_file() {
    let (env, _receiver) = filled(2);
    env.hookctl(["db", "encrypt", "--key-file", "key"]).run().ok();
    env.file("other", [7; 32]);
    let rotate = ["db", "rotate-key", "--new-key-file", "new"];
    let refused = with_key(&env, "other", &rotate).run().fails(1).err();
    assert!(refused.contains("another key") && !refused.contains("made new"), "{refused}");
    assert!(!env.path().join("new").exists());
    // That this value does not open is found after the file was made.
    env.sql_write("UPDATE secrets SET secret = (SELECT secret FROM secrets WHERE id = 2) WHERE id = 1");
    let failed = with_key(&env, "key", &rotate).run().fails(1).err();
    assert!(failed.contains("changed or moved") && !failed.contains("made new"), "{failed}");
    assert!(!env.path().join("new").exists());
    env.file("new", [9; 32]);
    with_key(&env, "key", &rotate).run().fails(1);
    assert!(env.path().join("new").exists(), "a file that was there stays");
}

#[test]
fn a_key_file_that_others_can_read_is_reported_and_mended() {
    let (env, _receiver) = filled(1);
    env.hookctl(["db", "encrypt", "--key-file", "key"]).run().ok();
    let key = env.path().join("key");
    for mode in [0o644, 0o640, 0o604] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let check = with_key(&env, "key", &["db", "check"]).run().fails(1);
        assert!(check.text().contains(&format!("key has mode {mode:04o}")), "{check:?}");
        assert_eq!(check.err().matches("can be read by others").count(), 1, "{check:?}");
        let list = with_key(&env, "key", &["webhook", "list"]).run().ok();
        assert!(list.err().contains(&format!("can be read by others (mode {mode:04o}) and holds the key")), "{list:?}");
        let info = with_key(&env, "key", &["db", "info", "-o", "json"]).run().ok().json();
        assert_eq!(info["credentials"]["key_file"]["mode"], format!("{mode:04o}"));
        with_key(&env, "key", &["db", "check", "--fix"]).run().ok();
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(with_key(&env, "key", &["webhook", "list"]).run().ok().stderr.is_empty());
    }
}

#[test]
fn to_encrypt_with_a_key_that_others_can_read_warns_of_it() {
    let (env, _receiver) = filled(1);
    let exposed = |name: &str, key: [u8; 32]| {
        env.file(name, key);
        fs::set_permissions(env.path().join(name), fs::Permissions::from_mode(0o644)).unwrap();
    };
    exposed("key", [7; 32]);
    exposed("new", [8; 32]);
    let encrypt = env.hookctl(["db", "encrypt", "--key-file", "key"]).run().ok();
    assert!(encrypt.err().contains("key can be read by others (mode 0644) and holds the key"), "{encrypt:?}");
    let rotate = with_key(&env, "key", &["db", "rotate-key", "--new-key-file", "new"]).run().ok();
    assert!(rotate.err().contains("new can be read by others (mode 0644) and holds the key"), "{rotate:?}");
}

#[test]
fn another_key_a_short_one_and_a_value_that_was_moved_are_told() {
    let (env, _receiver) = filled(2);
    env.hookctl(["db", "encrypt", "--key-file", "key"]).run().ok();
    env.file("other", [7; 32]);
    env.file("short", [7; 31]);
    env.file("long", [7; 40]);
    let drain = |key| with_key(&env, key, &["webhook", "secret", "reveal", "crm0"]).run().fails(1).err();
    assert!(drain("other").contains("another key"));
    assert!(drain("short").contains("it has 31 bytes; a key has 32"));
    assert!(drain("long").contains("it has more than 32 bytes; a key has 32"));
    assert!(drain("missing").contains("cannot read"));
    let key = hex::encode(fs::read(env.path().join("key")).unwrap());
    env.hookctl(["webhook", "secret", "reveal", "crm0"]).env("HOOKCTL_KEY", key).run().ok();
    fs::rename(env.path().join("key"), env.path().join("hookctl.key")).unwrap();
    env.hookctl(["webhook", "secret", "reveal", "crm0"]).env("CREDENTIALS_DIRECTORY", env.path()).run().ok();
    env.sql_write("UPDATE secrets SET secret = (SELECT secret FROM secrets WHERE id = 2) WHERE id = 1");
    let moved = with_key(&env, "hookctl.key", &["webhook", "secret", "reveal", "crm0"]).run().fails(1);
    assert!(moved.err().contains("changed or moved"), "{moved:?}");
}

#[test]
fn killed_in_the_middle_of_encrypt_rotate_key_and_decrypt_each_is_finished_by_the_next_run() {
    let (env, receiver) = filled(12);
    let rounds = [
        ("", &["db", "encrypt", "--key-file", "one"][..], "one"),
        ("one", &["db", "rotate-key", "--new-key-file", "two"], "two"),
        ("two", &["db", "decrypt"], ""),
    ];
    let run = |key: &str, arguments: &[&str]| match key {
        "" => env.hookctl(arguments.iter().copied()),
        key => with_key(&env, key, arguments),
    };
    for (before, command, after) in rounds {
        for delay in [0, 2, 5, 9, 14, 20, 30] {
            let child = run(before, command).spawn();
            thread::sleep(Duration::from_millis(delay));
            child.kill();
        }
        // The last kill may have come after the change.
        let key = if run(before, command).run().code == Some(0) { after } else { before };
        let key = if key == after {
            after
        } else {
            run(after, command).run().ok();
            after
        };
        assert_eq!(is_in_clear(&env), after.is_empty(), "{command:?}");
        run(key, &["emit", "task.created", "--data", "{}", "--strict"]).run().ok();
    }
    assert_eq!(receiver.count(), 36);
    assert!(receiver.requests().iter().all(|request| request.header("authorization") == Some(TOKEN)));
}
