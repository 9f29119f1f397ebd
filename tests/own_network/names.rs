//! A name server that says what a test wants, lies included, and keeps count of
//! what it was asked. Must not know who asks.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::{RData, Record, RecordType};

/// What a name stands for, answer after answer; the last one stays.
type Zone = HashMap<&'static str, Vec<&'static str>>;

/// Answers to the name server's questions, and how often each was asked.
#[derive(Default)]
pub(crate) struct Names {
    zone: Mutex<Zone>,
    asked: Mutex<HashMap<(String, RecordType), usize>>,
}

impl Names {
    /// Answers for as long as the process lives, on an address of loopback.
    pub(crate) fn serve(self: &Arc<Self>) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("name server");
        let address = socket.local_addr().expect("address");
        let names = Arc::clone(self);
        thread::spawn(move || {
            let mut buffer = [0; 1500];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).expect("question");
                let question = Message::from_vec(&buffer[..length]).expect("question");
                let answer = names.answer(question).to_vec().expect("answer");
                socket.send_to(&answer, from).expect("answer");
            }
        });
        address
    }

    fn answer(&self, mut message: Message) -> Message {
        let query = message.queries[0].clone();
        let name = query.name().to_ascii();
        let name = name.trim_end_matches('.').to_lowercase();
        let mut asked = self.asked.lock().expect("lock");
        let count = asked.entry((name.clone(), query.query_type())).or_default();
        *count += 1;
        message.metadata.message_type = MessageType::Response;
        message.metadata.recursion_available = true;
        let zone = self.zone.lock().expect("lock");
        let Some(answers) = zone.get(name.as_str()) else {
            message.metadata.response_code = ResponseCode::NXDomain;
            return message;
        };
        let answer = answers[(*count - 1).min(answers.len() - 1)];
        for address in answer.split_whitespace() {
            let address: IpAddr = address.parse().expect(address);
            let kind = match address {
                IpAddr::V4(_) => RecordType::A,
                IpAddr::V6(_) => RecordType::AAAA,
            };
            if kind == query.query_type() {
                let record = Record::from_rdata(query.name().clone(), 0, RData::from(address));
                message.answers.push(record);
            }
        }
        message
    }

    pub(crate) fn add(&self, name: &'static str, answers: &[&'static str]) {
        let mut zone = self.zone.lock().expect("lock");
        zone.insert(name, answers.to_vec());
    }

    /// How often for addresses of version 4, and of version 6.
    pub(crate) fn asked(&self, name: &str) -> [usize; 2] {
        let asked = self.asked.lock().expect("lock");
        let count = |kind| asked.get(&(name.to_owned(), kind)).copied().unwrap_or(0);
        [RecordType::A, RecordType::AAAA].map(count)
    }
}
