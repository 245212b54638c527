//! The rules of the settings, and what their serialisation keeps.

use super::*;

fn filled() -> Settings {
    let mut settings = Settings { name: "crm".to_owned(), order: Order::Webhook, ..Settings::default() };
    settings.set_url("https://crm.example/hook?key=1").unwrap();
    settings.set_events(&["invoice.*".to_owned()]).unwrap();
    settings.set_description("two\nlines").unwrap();
    settings.add_headers(&[("X-B".to_owned(), "1".to_owned()), ("X-A".to_owned(), "2".to_owned())]).unwrap();
    settings.set_owner("sales").unwrap();
    settings.set_retry_delay(Duration::from_millis(250)).unwrap();
    settings.set_retry_schedule("5s,90s").unwrap();
    settings.set_timeout(Duration::from_millis(1_500)).unwrap();
    settings.set_rate_limit("10/s").unwrap();
    settings.set_concurrency("2").unwrap();
    settings.set_allow_networks(&["10.0.0.0/8,fd00::1".to_owned()]).unwrap();
    settings.set_ca_cert("-----BEGIN CERTIFICATE-----").unwrap();
    settings.set_signature_schemes(&["hmac".to_owned()]).unwrap();
    settings.hmac.set_header("X-Mac").unwrap();
    settings.hmac.set_prefix("v1=").unwrap();
    settings.hmac.set_encoding("base64").unwrap();
    settings.hmac.set_algorithm("sha512").unwrap();
    settings.shape.set_filter(".data.amount > 3");
    settings.shape.set_transform("{text: .event_type}");
    // Beside a transform there is none, but each has a value here.
    settings.shape.preset = Some(Preset::Cloudevents);
    settings.egress.set_proxy("http://user@proxy.example:3128").unwrap();
    settings.egress.set_proxy_password(Credential::default()).unwrap();
    settings.egress.set_client_cert("-----BEGIN CERTIFICATE-----").unwrap();
    settings.egress.client_key = Some(Credential::default());
    settings
}

#[test]
fn settings_are_read_back_as_they_were_written() {
    for settings in [filled(), Settings::default()] {
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings, "{text}");
    }
}

#[test]
fn what_a_stored_webhook_lacks_has_its_default() {
    assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
}

#[test]
fn every_setting_has_its_field() {
    let Value::Object(members) = serde_json::to_value(filled()).unwrap() else { panic!("no object") };
    for key in members.keys() {
        assert!(Field::of_key(key).is_some(), "{key} has no line in field.rs");
    }
    assert_eq!(filled().values().len(), members.len());
}

#[test]
fn a_private_key_is_not_taken_for_a_certificate() {
    for kind in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "private key"] {
        let mut settings = Settings::default();
        let pem = format!("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n-----BEGIN {kind}-----\nMA==");
        assert_eq!(settings.set_ca_cert(&pem).unwrap_err().field, Field::CA_CERT);
        assert_eq!(settings, Settings::default());
    }
}

#[test]
fn counts_beyond_any_use_are_refused_and_repetitions_are_not_counted() {
    let patterns = |count: usize| (0..count).map(|number| format!("type.{number}")).collect::<Vec<_>>();
    let mut settings = Settings::default();
    assert!(settings.set_events(&[patterns(MOST_PATTERNS), patterns(MOST_PATTERNS)].concat()).is_ok());
    assert_eq!(settings.events.len(), MOST_PATTERNS);
    assert!(settings.set_events(&patterns(MOST_PATTERNS + 1)).is_err());
    let networks = vec!["10.0.0.1".to_owned(); MOST_NETWORKS + 1];
    assert!(settings.set_allow_networks(&networks).is_err());
}

#[test]
fn no_masked_setting_holds_a_credential() {
    let mut settings = filled();
    settings.add_headers(&[("Authorization".to_owned(), "Bearer hunter2".to_owned())]).unwrap();
    settings.set_url("https://crm.example/?token=hunter2").unwrap();
    settings.set_ca_cert("hunter2").unwrap();
    assert!(!serde_json::to_string(&settings.masked()).unwrap().contains("hunter2"));
}
