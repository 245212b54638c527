//! A database file: any bytes, or a good file with some of them changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use crate::delivery::{AcceptOptions, accept};
use crate::domain::credential::HeaderValue;
use crate::domain::event::{self, NewEvent};
use crate::domain::time::Timestamp;
use crate::domain::webhook::Settings;
use crate::store::{Check, DeliveryFilter, EventFilter, Store, StoreError, WebhookFilter, sidecar};

/// Nobody else has the file open.
const NO_WAIT: Duration = Duration::from_millis(1);

/// Bytes that begin as SQLite's files do are a file; others are changes of a good one: offset (3 bytes), value (1 byte), and
/// so on. Whatever the file, it is read, checked, mended and written, or refused with an error.
pub fn database(data: &[u8]) {
    static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| good_file().expect("a database can be made"));
    let path = place("input");
    let file = if data.starts_with(b"SQLite format 3\0") { data.to_vec() } else { changed(&GOOD, data) };
    remove(&path);
    fs::write(&path, file).expect("the temporary folder can be written");
    let _ = read(&path);
    let _ = write(&path);
    remove(&path);
    let _ = fs::remove_dir(path.parent().expect("it has a folder")); // unless another thread is at work there
}

/// Reads all there is, by the ways that commands read it.
fn read(path: &Path) -> Result<(), StoreError> {
    let Some(store) = Store::open_read_only(path, NO_WAIT)? else { return Ok(()) };
    let _ = store.info(now());
    for check in Check::ALL {
        let _ = store.check(check, now());
    }
    let _ = (store.webhooks(&WebhookFilter::default()), store.subscribers(), store.event_types());
    let _ = store.events(&EventFilter::default());
    for delivery in store.deliveries(&DeliveryFilter::default())?.iter().take(20) {
        let _ = (store.webhook(delivery.webhook_id), store.health(delivery.webhook_id));
        let _ = (store.event(delivery.event_row), store.load_payload((delivery.event_row, delivery.body_id)));
    }
    Ok(())
}

fn write(path: &Path) -> Result<(), StoreError> {
    let store = Store::open(path, NO_WAIT)?;
    store.transaction(|| store.fix(now()))?;
    store.transaction(|| take_in(&store, "evt_2"))
}

/// A webhook, an event, and its delivery, as one file without a log beside it.
fn good_file() -> Result<Vec<u8>, StoreError> {
    let (path, copy) = (place("made"), place("good"));
    remove(&path);
    let store = Store::open(&path, NO_WAIT)?;
    store.transaction(|| {
        let settings = Settings {
            name: "crm".to_owned(),
            url: "https://example.com/hook".to_owned(),
            events: vec!["*".to_owned()],
            headers: vec![("X-A".to_owned(), HeaderValue::Plain("b".to_owned()))],
            ..Settings::default()
        };
        store.insert_webhook(&settings, true, None, now())?;
        take_in(&store, "evt_1")
    })?;
    store.vacuum()?; // truncates the log
    let file = fs::read(&path);
    drop(store);
    remove(&path);
    remove(&copy);
    file.map_err(|error| StoreError::Other(error.to_string()))
}

fn take_in(store: &Store, event_id: &str) -> Result<(), StoreError> {
    let event = NewEvent {
        event_id: event_id.to_owned(),
        event_type: "invoice.paid".to_owned(),
        payload: b"{}".to_vec(),
        fingerprint: event::fingerprint(&[Some(event_id.as_bytes())]),
        owner: None,
        about: None,
        entity_type: None,
        entity_id: None,
        key: None,
        data: None,
        headers: Vec::new(),
        created_at: now(),
    };
    let subscribers = store.subscribers()?;
    accept(store, [&event], AcceptOptions { subscribers: &subscribers, ..AcceptOptions::default() }).map(drop)
}

fn changed(good: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut file = good.to_vec();
    for change in changes.chunks_exact(4) {
        let offset = u32::from_be_bytes([0, change[0], change[1], change[2]]) as usize % file.len();
        file[offset] = change[3];
    }
    file
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_893_456_000_000)
}

/// A path of this process and thread alone; in memory where there is such a place, for each input is synced several times.
fn place(name: &str) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = parent.join(format!("hookctl-fuzz-{}", std::process::id()));
    let _ = fs::create_dir_all(&folder);
    folder.join(format!("{name}-{:?}.db", std::thread::current().id()))
}

fn remove(path: &Path) {
    let beside = ["-wal", "-shm", "-journal"].map(|suffix| sidecar(path, suffix));
    for path in beside.iter().map(PathBuf::as_path).chain([path]) {
        let _ = fs::remove_file(path);
    }
}
