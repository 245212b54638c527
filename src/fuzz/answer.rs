//! What a receiver answers, over a real connection.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::domain::attempt::{BODY_LIMIT, Outcome};
use crate::domain::delivery::retry_after_ms;
use crate::domain::network::AddressPolicy;
use crate::domain::retry::LONGEST_DELAY_MS;
use crate::domain::target_url;
use crate::domain::time::Timestamp;
use crate::http::{Client, Egress, OutgoingRequest, Shared, Target};

/// The deadline of an attempt: the connection ends with the answer, so that none is waited for as long.
const DEADLINE: Duration = Duration::from_secs(10);

const BODY: &[u8] = b"{\"end\":1}";

/// The bytes of an answer. Whatever they are, the attempt ends in time, and nothing but a whole 2xx is a success.
pub fn answer(data: &[u8]) {
    thread_local! {
        static WIRE: Wire = Wire::new();
    }
    let began = Instant::now();
    let outcome = WIRE.with(|wire| wire.exchange(data));
    assert!(began.elapsed() < DEADLINE, "it took {:?}", began.elapsed());
    let retry_after = retry_after_ms(&outcome, Timestamp::from_millis(1_893_456_000_000));
    assert!(retry_after.is_none_or(|delay| (0..=LONGEST_DELAY_MS).contains(&delay)), "{retry_after:?}");
    let Some(answer) = &outcome.answer else {
        assert!(outcome.error.is_some(), "no answer is no success");
        return;
    };
    assert!(answer.body.len() <= BODY_LIMIT && (100..=999).contains(&answer.status));
    assert!(outcome.error.is_some() || (200..=299).contains(&answer.status), "{} is a success", answer.status);
}

/// A client, and a receiver on a thread that answers as it is told.
struct Wire {
    client: Client,
    target: Target,
    answers: Sender<Vec<u8>>,
}

impl Wire {
    fn new() -> Wire {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (answers, to_send) = channel();
        thread::spawn(move || serve(&listener, &to_send));
        let policy = AddressPolicy { allow_private: true, allow_networks: Vec::new() };
        let url = target_url::parse(&format!("http://127.0.0.1:{port}/hook")).expect("it is a URL");
        Wire {
            client: Client::new(&Shared::new(0), &Egress { policy, ..Egress::default() }).expect("a client"),
            target: Target::new(&url).expect("a target"),
            answers,
        }
    }

    fn exchange(&self, answer: &[u8]) -> Outcome {
        self.answers.send(answer.to_vec()).expect("the receiver runs");
        let headers = [("Content-Type", "application/json")];
        let request = OutgoingRequest { method: "POST", target: &self.target, headers: &headers, body: BODY };
        self.client.send(&request, DEADLINE).expect("an answer is no local trouble")
    }
}

fn serve(listener: &TcpListener, answers: &Receiver<Vec<u8>>) {
    while let Ok(answer) = answers.recv() {
        let Ok((mut stream, _)) = listener.accept() else { return };
        read_request(&mut stream);
        // The client may have seen enough before the end.
        let _ = stream.write_all(&answer);
    }
}

fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(BODY) {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
}
