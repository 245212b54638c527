//! Presets: the form of each receiver, its credentials, and what it takes the place of. The receivers here take what is valid by
//! the schemas in `data/presets/`, which name the documents that they were written after.

use std::sync::{Arc, Mutex};

use boon::{Compiler, Schemas};
use serde_json::{Value, json};

use crate::support::{Recorded, Reply, Run, Script, TestEnv, TestReceiver};

const PRESETS: [(&str, &str); 5] = [
    ("slack", include_str!("data/presets/slack.json")),
    ("discord", include_str!("data/presets/discord.json")),
    ("teams", include_str!("data/presets/teams.json")),
    ("mattermost", include_str!("data/presets/mattermost.json")),
    ("cloudevents", include_str!("data/presets/cloudevents.json")),
];

/// Text that means something to one receiver or another.
const HOSTILE: &str = "<!channel> <@U1> @everyone @here <http://evil.example|*pay*> [x](http://evil.example) | `a` ~b~ _c_ **d** \
                       # e\n> f & &amp; \\ \u{202e}txt.exe\u{0}\u{7}\u{1b}[31m \u{feff}\u{fdd0}\u{ffff}";

/// Why a body is not what the receiver takes.
fn fault(schema: &str, preset: &str, request: &Recorded) -> Option<String> {
    let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
    compiler.enable_format_assertions();
    compiler.add_resource("mem:receiver", serde_json::from_str(schema).unwrap()).unwrap();
    let index = compiler.compile("mem:receiver", &mut schemas).unwrap();
    let body = match serde_json::from_slice(&request.body) {
        Ok(body) => body,
        Err(error) => return Some(error.to_string()),
    };
    if let Err(error) = schemas.validate(&body, index) {
        return Some(format!("{error:#}"));
    }
    let (content_type, most) = match preset {
        "discord" => ("application/json", 6_000),
        "teams" => ("application/json", 28 * 1024),
        "mattermost" => ("application/json", 16_383),
        "cloudevents" => ("application/cloudevents+json; charset=utf-8", usize::MAX),
        _ => ("application/json", usize::MAX),
    };
    let size = match preset {
        "discord" => units(&body["embeds"], &["title", "description", "text", "name", "value"]),
        "mattermost" => units(&body, &["title", "text", "value", "fallback", "footer"]),
        _ => request.body.len(),
    };
    match () {
        () if request.header("content-type") != Some(content_type) => Some(format!("{:?}", request.headers)),
        () if size > most => Some(format!("{size} of {most} at most")),
        () => None,
    }
}

/// The UTF-16 units of the texts in members of these names, all together.
fn units(value: &Value, names: &[&str]) -> usize {
    match value {
        Value::Array(items) => items.iter().map(|item| units(item, names)).sum(),
        Value::Object(members) => {
            let of = |(name, value): (&String, &Value)| match value {
                Value::String(text) if names.contains(&name.as_str()) => text.encode_utf16().count(),
                value => units(value, names),
            };
            members.iter().map(of).sum()
        }
        _ => 0,
    }
}

/// A webhook of each preset, named after it, to a receiver that refuses what is not in its form.
fn world() -> (TestEnv, TestReceiver, Arc<Mutex<Vec<String>>>) {
    let (env, faults) = (TestEnv::new(), Arc::new(Mutex::new(Vec::new())));
    let mut receiver = TestReceiver::start(404);
    for (preset, schema) in PRESETS {
        let faults = Arc::clone(&faults);
        let script = Script::each(move |request| match fault(schema, preset, request) {
            None => Reply::Status(200),
            Some(fault) => {
                let body: String = request.text().chars().take(2_000).collect();
                faults.lock().unwrap().push(format!("{preset}: {fault}: {body}"));
                Reply::Status(400)
            }
        });
        receiver = receiver.on(&format!("/{preset}"), script);
    }
    for (preset, _) in PRESETS {
        let url = receiver.url_at(&format!("/{preset}"));
        env.create(preset, &url, &["--preset", preset, "-e", "*,webhook.*,delivery.*"]);
    }
    (env, receiver, faults)
}

fn assert_taken(run: &Run, faults: &Mutex<Vec<String>>) {
    let faults = faults.lock().unwrap();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn each_receiver_takes_ordinary_hostile_and_huge_events() {
    let (env, receiver, faults) = world();
    let long = format!("{HOSTILE} ").repeat(500);
    let wide = "\u{1f600}\u{4e2d}*".repeat(20_000);
    let many: serde_json::Map<_, _> = (0..500).map(|n| (format!("{HOSTILE} {n}"), HOSTILE.into())).collect();
    let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
    let data = [
        json!({ "id": 42, "amount": 12, "url": "https://shop.example/invoices/42?a=1&b=<2>|x" }),
        json!({ "message": HOSTILE, "name": HOSTILE, "url": HOSTILE, "number": 1e300, "list": [1], "empty": "", "": "x" }),
        json!({ "url": "javascript:alert(1)", "link": "ftp://x.example/", "html_url": format!("https://x.example/{}", "a".repeat(3_000)) }),
        json!({ "message": long, "title": long, "webhook": wide, "reason": wide }),
        json!({ "error_message": wide, "value": wide }),
        json!({ "url": "http://intranet/tasks/1" }),
        json!({ "url": format!("http://[::1]:8080/{}", "a".repeat(1_000)) }),
        Value::Object(many),
        json!(HOSTILE),
        json!([null, { "message": "x" }]),
        json!("\u{202e}\u{0}"),
        json!(null),
    ];
    let mut lines: Vec<Value> = data
        .iter()
        .map(|data| json!({ "type": "invoice.paid", "data": data, "entity": "invoice:42:N\u{fc}mber *42* <&>" }))
        .collect();
    let whole = json!({ "type": "task.deleted", "data": data[1], "user": { "name": HOSTILE }, "description": "two\nlines & <!here>", "action": "deleted" });
    lines.push(whole);
    lines.extend([
        json!({ "type": "..." }),
        json!({ "type": "a".repeat(100), "entity": "a:b", "user": HOSTILE, "action": "x" }),
    ]);
    for payload in
        ["1", "null", "\"x\"", "[]", "{}", r#"{"event_id":7,"timestamp":"no","entity":[1],"user":{},"data":{}}"#, &deep]
    {
        lines.push(json!({ "type": "plain.sent", "payload": payload }));
    }
    lines.push(json!({ "type": "plain.sent", "event_id": "e1", "payload": r#"{"event_id":"e1","timestamp":"no","entity":{"type":"\u0000","id":"\n"}}"# }));
    lines.push(json!({ "type": "plain.sent", "event_id": "e2", "payload": r#"{"event_id":"e2","timestamp":"2026-11-26 08:00:00z"}"# }));
    let batch = lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let run = env.hookctl(["emit", "--batch", "-", "--strict"]).stdin(batch).run();
    assert_taken(&run, &faults);
    assert_eq!(receiver.count(), PRESETS.len() * lines.len());
    for (preset, _) in PRESETS {
        for request in receiver.requests_at(&format!("/{preset}")) {
            let shows_none = |c: char| ['\u{202e}', '\u{0}', '\u{1b}'].contains(&c);
            assert!(preset == "cloudevents" || !request.text().contains(shows_none), "{preset}");
            let is_signed =
                request.header("x-webhook-signature").is_some() && request.header("webhook-signature").is_some();
            assert_eq!(is_signed, preset == "cloudevents", "{preset}");
        }
    }
}

#[test]
fn a_message_has_title_text_link_colour_and_facts_and_numbers_as_they_are_spelled() {
    let (env, receiver, faults) = world();
    let data =
        r#"{"message":"2 > 1","amount":12.50,"big":12345678901234567890.10,"url":"https://shop.example/42?a=1&b=2"}"#;
    let event = ["emit", "invoice.paid", "--entity", "invoice:42:Number 42", "--user", r#"{"id":7,"username":"ada"}"#];
    let run =
        env.hookctl(event).args(["--data", data, "--event-id", "e1", "--strict"]).now("2026-11-26T08:00:00Z").run();
    assert_taken(&run, &faults);
    let sent = |preset: &str| receiver.requests_at(&format!("/{preset}"))[0].json();
    let slack = sent("slack");
    assert_eq!(slack["text"], "<https://shop.example/42?a=1&amp;b=2|Invoice paid: Number 42>");
    let attachment = &slack["attachments"][0];
    assert_eq!(
        (&attachment["color"], &attachment["blocks"][0]["text"]["text"]),
        (&json!("#2EB67D"), &json!("2 &gt; 1"))
    );
    let fields = attachment["blocks"][1]["fields"].as_array().unwrap();
    let fields: Vec<&str> = fields.iter().map(|field| field["text"].as_str().unwrap()).collect();
    assert_eq!(fields, ["*By*\nada", "*Amount*\n12.50", "*Big*\n12345678901234567890.10"]);
    assert_eq!(attachment["blocks"][2]["elements"][0]["text"], "invoice.paid · e1 · 2026-11-26T08:00:00.000Z");
    let embed = &sent("discord")["embeds"][0];
    assert_eq!((&embed["title"], &embed["description"]), (&json!("Invoice paid: Number 42"), &json!("2 \\> 1")));
    assert_eq!((&embed["url"], &embed["color"]), (&json!("https://shop.example/42?a=1&b=2"), &json!(0x2E_B67D)));
    let teams = sent("teams");
    let card = &teams["attachments"][0]["content"];
    assert_eq!((&card["body"][0]["color"], &card["body"][1]["text"]), (&json!("Good"), &json!("2 \\> 1")));
    assert_eq!(card["body"][2]["facts"][1], json!({ "title": "Amount", "value": "12.50" }));
    assert_eq!(card["actions"][0]["url"], "https://shop.example/42?a=1&b=2");
    let mattermost = &sent("mattermost")["attachments"][0];
    assert_eq!((&mattermost["title_link"], &mattermost["color"]), (&embed["url"], &json!("#2EB67D")));
    let text = receiver.requests_at("/cloudevents")[0].text().to_owned();
    assert!(text.ends_with(&format!(r#","data":{data}}}"#)), "{text}");
    let event = sent("cloudevents");
    for (name, value) in [
        ("id", "e1"),
        ("source", "/hookctl"),
        ("type", "invoice.paid"),
        ("subject", "invoice/42"),
        ("time", "2026-11-26T08:00:00.000Z"),
        ("user", "ada"),
    ] {
        assert_eq!(event[name], value, "{event}");
    }
}

#[test]
fn what_mattermost_shows_as_it_is_has_no_escapes() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("desk", &receiver.url(), &["--preset", "mattermost"]);
    for data in [r#"{"a#":"1_2","url":"https://shop.example/1"}"#, r#"{"a#":"1_2"}"#] {
        env.hookctl(["emit", "task.done", "--entity", "task:1:my_task @all", "--data", data, "--strict"]).run().ok();
    }
    let sent: Vec<Value> = receiver.requests().iter().map(|request| request.json()["attachments"][0].take()).collect();
    // A title that is a link is plain text, any other is Markdown.
    assert_eq!(sent[0]["title"], "Task done: my_task @\u{200b}all");
    assert_eq!(sent[1]["title"], "Task done: my\\_task @\u{200b}all");
    assert_eq!(sent[1]["fields"][0], json!({ "short": true, "title": "A#", "value": "1\\_2" }));
}

#[test]
fn a_url_in_a_text_stays_usable_in_every_chat() {
    let env = TestEnv::new();
    let url = "https://shop.example/my_order/a_b~c#d_e";
    let data = json!({ "message": format!("see {url} or _ask_"), "page": url }).to_string();
    for preset in ["discord", "mattermost", "teams", "slack"] {
        env.create(preset, "http://127.0.0.1:9/", &["--preset", preset]);
        let preview = ["webhook", "preview", preset, "--type", "a.b", "--data", &data, "-o", "json"];
        let shown = env.hookctl(preview).run().ok().json();
        let body = shown["body"].as_str().unwrap();
        assert_eq!(body.matches(url).count(), 2, "{body}");
        assert_eq!(body.contains("_ask_"), preset == "slack", "what is no URL is escaped: {body}");
    }
}

#[test]
fn a_link_that_discord_refuses_is_shown_as_a_field() {
    let env = TestEnv::new();
    env.create("desk", "http://127.0.0.1:9/", &["--preset", "discord"]);
    for (link, is_linked) in
        [("http://intranet/a_b", false), ("https://shop.example/a_b", true), ("http://10.0.0.7:8/a_b", true)]
    {
        let data = json!({ "url": link }).to_string();
        let preview = ["webhook", "preview", "desk", "--type", "a.b", "--data", &data, "-o", "json"];
        let shown = env.hookctl(preview).run().ok().json();
        let body: Value = serde_json::from_str(shown["body"].as_str().unwrap()).unwrap();
        let embed = &body["embeds"][0];
        assert_eq!(embed["url"].as_str(), Some(link).filter(|_| is_linked), "{embed}");
        let field = json!({ "name": "Link", "value": link, "inline": false });
        assert_eq!(embed["fields"].as_array().unwrap().contains(&field), !is_linked, "{embed}");
    }
}

#[test]
fn operational_events_reach_the_on_call_chat_with_their_reason() {
    let (env, receiver, faults) = world();
    let down = TestReceiver::start(410);
    env.create("crm", &down.url(), &["-e", "task.created"]);
    env.hookctl(["emit", "task.created", "-w", "crm"]).run().ok();
    assert_taken(&env.hookctl(["drain", "--strict"]).run(), &faults);
    let slack = receiver.requests_at("/slack");
    let titles: Vec<Value> = slack.iter().map(|request| request.json()["text"].take()).collect();
    for title in ["Webhook disabled: crm", "Delivery failed: crm"] {
        assert!(titles.contains(&json!(title)), "{titles:?}");
    }
    assert!(slack.iter().all(|request| request.json()["attachments"][0]["color"] == "#E01E5A"), "{slack:?}");
}

#[test]
fn events_of_the_past_and_retries_have_the_form_of_the_receiver_too() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200).on("/slack", [500, 200, 200]));
    env.hookctl(["emit", "invoice.paid", "--entity", "invoice:42", "--event-id", "e1"]).run().ok();
    env.hookctl(["emit", "task.deleted", "--payload", "-", "--event-id", "e2"]).stdin(r#"{"name":"T"}"#).run().ok();
    env.create("desk", &receiver.url_at("/slack"), &["--preset", "slack", "--max-retries", "0"]);
    env.hookctl(["event", "resend", "--missing", "-w", "desk"]).run().fails(5);
    env.hookctl(["delivery", "retry", "--status", "failed"]).run().ok();
    let requests = receiver.requests_at("/slack");
    let mut sent: Vec<String> = requests.iter().map(|request| request.json()["text"].to_string()).collect();
    assert_eq!(sent[0], sent[2], "sent again as it was");
    sent.sort();
    sent.dedup();
    assert_eq!(sent, ["\"Invoice paid: invoice 42\"", "\"Task deleted: T\""]);
}

#[test]
fn a_payload_that_is_no_json_fails_with_the_presets_name() {
    let (env, receiver, _) = world();
    let emitted = env.hookctl(["emit", "a.b", "--payload", "-", "-o", "json"]).stdin("no JSON").run().ok().json();
    for delivery in emitted["deliveries"].as_array().unwrap() {
        assert_eq!((&delivery["status"], &delivery["error_type"]), (&json!("failed"), &json!("transform_error")));
    }
    let shown = env.hookctl(["delivery", "show", "1", "-o", "json"]).run().ok().json();
    let told = shown["error_message"].as_str().unwrap();
    assert!(told.starts_with("the preset slack made no body: the event is not valid JSON"), "{told}");
    assert_eq!(receiver.count(), 0);
}

#[test]
fn the_url_of_a_chat_is_a_credential_and_nothing_is_signed() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    let url = receiver.url_at("/services/T0/B0/hunter2");
    let create = ["webhook", "create", "desk", "-e", "*", "--preset", "slack"];
    let created = env.hookctl(create).args(["--url", &url, "-o", "json"]).run().ok();
    assert!(created.err().contains("better: --secret-url-env VAR"), "{created:?}");
    let created = created.json();
    assert_eq!((&created["signature_schemes"], created.get("secret")), (&json!([]), None));
    let mut told = created.to_string();
    for command in [&["webhook", "show", "desk"][..], &["webhook", "list", "-o", "json"], &["export"]] {
        told += &env.hookctl(command).run().ok().text();
    }
    env.hookctl(["webhook", "update", "desk", "--timeout", "10s"]).run().ok();
    env.hookctl(["emit", "a.b", "--strict"]).run().ok();
    for command in [
        &["delivery", "show", "1"][..],
        &["webhook", "preview", "desk", "--type", "a.b"],
        &["webhook", "show", "desk", "-o", "json"],
    ] {
        told += &env.hookctl(command).run().ok().text();
    }
    assert!(!told.contains("hunter2") && told.contains(&receiver.url_at("/***")), "{told}");
    assert_eq!(receiver.requests()[0].path, "/services/T0/B0/hunter2");
    // What is a chat's from now on.
    env.create("crm", &receiver.url_at("/hunter3"), &[]);
    let refused = env.hookctl(["webhook", "update", "crm", "--preset", "discord"]).run().fails(2);
    assert!(refused.err().starts_with("error: --preset: discord checks no signature"), "{refused:?}");
    let shown = env.hookctl(["webhook", "update", "crm", "--preset", "discord", "--no-secret"]).run().ok().text();
    assert!(!shown.contains("hunter3"), "{shown}");
    env.hookctl(["webhook", "test", "crm"]).run().ok();
    assert_eq!(receiver.requests()[1].path, "/hunter3");
    let given = env.hookctl(create).args(["--secret-url-env", "URL", "--signature", "github"]).env("URL", &url);
    assert!(given.run().fails(2).err().starts_with("error: --preset: slack checks no signature"));
}

#[test]
fn a_preset_and_a_transform_take_each_others_place_and_the_content_type_goes_along() {
    let env = TestEnv::new();
    env.create("crm", "http://127.0.0.1:9/", &["--transform", ".data"]);
    let update = |options: &[&str]| {
        let run = env.hookctl(["webhook", "update", "crm", "-o", "json"]).args(options.iter().copied()).run().ok();
        let shown = run.json();
        [&shown["transform"], &shown["preset"], &shown["content_type"]]
            .map(|value| value.as_str().unwrap_or("null").to_owned())
    };
    let of_cloudevents = "application/cloudevents+json; charset=utf-8";
    assert_eq!(update(&["--preset", "cloudevents"]), ["null", "cloudevents", of_cloudevents]);
    assert_eq!(update(&["--transform", ".data"]), [".data", "null", "application/json"]);
    assert_eq!(update(&["--preset", "cloudevents", "--transform", "none"]), ["null", "cloudevents", of_cloudevents]);
    assert_eq!(update(&["--content-type", "application/json; v=1"])[2], "application/json; v=1");
    assert_eq!(update(&["--preset", "none"]), ["null", "null", "application/json; v=1"]);
    assert_eq!(update(&["--preset", "cloudevents"]), ["null", "cloudevents", of_cloudevents]);
    assert_eq!(update(&["--preset", "none"]), ["null", "null", "application/json"]);
    for (options, told) in [
        (&["--preset", "slak"][..], "--preset: no preset 'slak'"),
        (&["--preset", "cloudevents", "--transform", "."], "--preset: there is a transform as well"),
    ] {
        let run = env.hookctl(["webhook", "update", "crm"]).args(options.iter().copied()).run().fails(2);
        assert!(run.err().contains(told), "{run:?}");
    }
}

#[test]
fn a_file_has_presets_and_the_url_of_a_chat_by_reference() {
    let (env, other) = (TestEnv::new(), TestEnv::new());
    env.create("desk", "http://127.0.0.1:9/hunter2", &["--preset", "mattermost"]);
    env.create("bus", "http://127.0.0.1:9/in", &["--preset", "cloudevents"]);
    let file = env.hookctl(["export"]).run().ok().text();
    for line in
        ["preset = \"mattermost\"", "preset = \"cloudevents\"", "secret_url = { \"env\" = \"HOOKCTL_DESK_URL\" }"]
    {
        assert!(file.contains(line), "{file}");
    }
    let apply = other.hookctl(["apply", "-"]).stdin(file.clone()).env("HOOKCTL_DESK_URL", "http://127.0.0.1:9/hunter2");
    let applied = apply.env("HOOKCTL_BUS_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwQ2ZZDYyUYhY=").run().ok();
    assert!(!applied.text().contains("hunter2") && !applied.err().contains("hunter2"), "{applied:?}");
    let again = other.hookctl(["apply", "-", "--dry-run"]).stdin(file).run();
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(other.hookctl(["webhook", "secret", "reveal", "desk"]).run().ok().text().contains("/hunter2"));
    let short = "[[webhooks]]\nname = 'ops'\nurl = 'http://127.0.0.1:9/hunter4'\nevents = ['*']\npreset = 'teams'\n";
    let run = other.hookctl(["apply", "-", "-o", "json"]).stdin(short).run().ok();
    assert!(!run.text().contains("hunter4"), "{run:?}");
    assert_eq!(other.hookctl(["apply", "-", "--dry-run"]).stdin(short).run().code, Some(0));
    let wrong = short.replace("'teams'", "'teams'\ntransform = '.'");
    let run = other.hookctl(["apply", "-"]).stdin(wrong).run().fails(2);
    assert!(run.err().contains("webhooks[0] (ops): preset: there is a transform as well"), "{run:?}");
}
