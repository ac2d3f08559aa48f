//! Questions to a name server and its answers, which are hostile input.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use simple_dns::rdata::RData;
use simple_dns::{Name, Packet, PacketFlag, Question, CLASS, QCLASS, QTYPE, RCODE, TYPE};

use crate::address::Family;

/// Records of one message; more are taken for an attack, for the parser would make room for as many as are claimed.
const MAX_RECORDS: u16 = 256;
/// Aliases that are followed within an answer.
const MAX_ALIASES: usize = 16;
/// Addresses that are taken of one answer.
const MAX_ADDRESSES: usize = 32;
/// Of a name in text, without a dot at its end.
const MAX_NAME_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;
const HEADER_BYTES: usize = 12;

/// What an answer says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// The name's addresses; none where it has no such, or does not exist.
    Addresses(Vec<IpAddr>),
    /// It did not fit; ask by TCP.
    Truncated,
    /// The server could not tell, or told nonsense.
    Failure,
}

/// Whether a name can be asked for: letters, digits, `-` and `_` in labels. Without a dot at its end.
pub(crate) fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=MAX_LABEL_BYTES).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    name.len() <= MAX_NAME_BYTES && name.split('.').all(label)
}

/// One question: a name's addresses of one version of IP.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'n> {
    pub identifier: u16,
    /// One for which `is_name` holds.
    pub name: &'n str,
    pub family: Family,
}

impl Asked<'_> {
    fn kind(&self) -> QTYPE {
        match self.family {
            Family::V4 => TYPE::A.into(),
            Family::V6 => TYPE::AAAA.into(),
        }
    }

    /// The message to send. `None` for what is no name.
    pub fn message(&self) -> Option<Vec<u8>> {
        let mut packet = Packet::new_query(self.identifier);
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
        let name = Name::new(self.name).ok()?;
        packet
            .questions
            .push(Question::new(name, self.kind(), CLASS::IN.into(), false));
        packet.build_bytes_vec().ok()
    }

    /// What a message answers. `None` where it is not an answer to this question: a late one, or a forged one.
    pub fn answer(&self, message: &[u8]) -> Option<Answer> {
        let header = message.get(..HEADER_BYTES)?;
        let short = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        if short(0) != self.identifier {
            return None;
        }
        if (4..HEADER_BYTES).step_by(2).any(|at| short(at) > MAX_RECORDS) {
            return Some(Answer::Failure);
        }
        let Ok(packet) = Packet::parse(message) else {
            return Some(Answer::Failure);
        };
        if !packet.has_flags(PacketFlag::RESPONSE) || !self.is_asked_in(&packet) {
            return None;
        }
        Some(match packet.rcode() {
            _ if packet.has_flags(PacketFlag::TRUNCATION) => Answer::Truncated,
            RCODE::NoError => Answer::Addresses(self.addresses(&packet)),
            RCODE::NameError => Answer::Addresses(Vec::new()),
            _ => Answer::Failure,
        })
    }

    fn is_asked_in(&self, packet: &Packet<'_>) -> bool {
        let [question] = packet.questions.as_slice() else {
            return false;
        };
        let class = QCLASS::CLASS(CLASS::IN);
        question.qclass == class
            && question.qtype == self.kind()
            && Name::new(self.name).is_ok_and(|name| question.qname == name)
    }

    /// The addresses of the name, or of what it is an alias for within this answer.
    fn addresses(&self, packet: &Packet<'_>) -> Vec<IpAddr> {
        let Ok(mut current) = Name::new(self.name) else {
            return Vec::new();
        };
        for _ in 0..=MAX_ALIASES {
            let of_current = || {
                packet
                    .answers
                    .iter()
                    .filter(|record| record.class == CLASS::IN && record.name == current)
            };
            let found: Vec<IpAddr> = of_current()
                .filter_map(|record| self.address(&record.rdata))
                .take(MAX_ADDRESSES)
                .collect();
            if !found.is_empty() {
                return found;
            }
            let alias = of_current().find_map(|record| match &record.rdata {
                RData::CNAME(target) => Some(target.0.clone()),
                _ => None,
            });
            match alias {
                Some(target) => current = target,
                None => break,
            }
        }
        Vec::new()
    }

    fn address(&self, data: &RData<'_>) -> Option<IpAddr> {
        match (self.family, data) {
            (Family::V4, RData::A(record)) => Some(IpAddr::V4(Ipv4Addr::from(record.address))),
            (Family::V6, RData::AAAA(record)) => Some(IpAddr::V6(Ipv6Addr::from(record.address))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use simple_dns::rdata::{A, AAAA, CNAME};
    use simple_dns::ResourceRecord;

    use super::*;

    const QUESTION: Asked<'static> = Asked {
        identifier: 0x1234,
        name: "web.example",
        family: Family::V4,
    };

    fn record(name: &'static str, data: RData<'static>) -> ResourceRecord<'static> {
        ResourceRecord::new(Name::new(name).unwrap(), CLASS::IN, 60, data)
    }

    fn alias(name: &'static str, target: &'static str) -> ResourceRecord<'static> {
        record(name, RData::CNAME(CNAME(Name::new(target).unwrap())))
    }

    fn address(name: &'static str, last: u8) -> ResourceRecord<'static> {
        let address = Ipv4Addr::new(192, 0, 2, last).to_bits();
        record(name, RData::A(A { address }))
    }

    fn reply(answers: Vec<ResourceRecord<'static>>) -> Vec<u8> {
        reply_to(QUESTION, answers, RCODE::NoError)
    }

    fn reply_to(asked: Asked<'_>, answers: Vec<ResourceRecord<'_>>, code: RCODE) -> Vec<u8> {
        let question = asked.message().unwrap();
        let mut packet = Packet::parse(&question).unwrap().into_reply();
        packet.answers = answers;
        *packet.rcode_mut() = code;
        packet.build_bytes_vec_compressed().unwrap()
    }

    fn addresses(last: &[u8]) -> Option<Answer> {
        let all = last
            .iter()
            .map(|last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, *last)));
        Some(Answer::Addresses(all.collect()))
    }

    #[test]
    fn names_that_can_be_asked_for() {
        let long = ["a".repeat(63).as_str(); 3].join(".") + "." + &"b".repeat(61);
        assert_eq!(long.len(), 253);
        for good in ["web", "a.b-c._tcp", "1.2", long.as_str()] {
            assert!(is_name(good), "{good}");
        }
        for wrong in [
            "",
            ".",
            "a..b",
            "a.",
            ".a",
            "a b",
            "a\\.b",
            "ü",
            "a\nb",
            &"a".repeat(64),
            &(long.clone() + "c"),
        ] {
            assert!(!is_name(wrong), "{wrong}");
        }
        assert!(Asked {
            name: &long,
            ..QUESTION
        }
        .message()
        .is_some());
    }

    #[test]
    fn addresses_of_the_name_and_of_what_it_is_an_alias_for() {
        let direct = reply(vec![
            address("web.example", 1),
            address("WEB.example", 2),
            address("other", 3),
        ]);
        assert_eq!(QUESTION.answer(&direct), addresses(&[1, 2]));
        let aliased = reply(vec![
            address("c.example", 7),
            alias("b.example", "c.example"),
            alias("web.example", "b.example"),
        ]);
        assert_eq!(QUESTION.answer(&aliased), addresses(&[7]));
        let round = reply(vec![
            alias("web.example", "b.example"),
            alias("b.example", "web.example"),
        ]);
        assert_eq!(QUESTION.answer(&round), addresses(&[]));
        assert_eq!(QUESTION.answer(&reply(Vec::new())), addresses(&[]));
    }

    #[test]
    fn the_version_that_was_asked_for() {
        let wide = Asked {
            family: Family::V6,
            ..QUESTION
        };
        let data = RData::AAAA(AAAA { address: 1 });
        let answer = reply_to(
            wide,
            vec![address("web.example", 1), record("web.example", data)],
            RCODE::NoError,
        );
        let expected = Some(Answer::Addresses(vec![IpAddr::V6(Ipv6Addr::LOCALHOST)]));
        assert_eq!(wide.answer(&answer), expected);
        // The same message is no answer to the other question.
        assert_eq!(QUESTION.answer(&answer), None);
    }

    #[test]
    fn names_that_do_not_exist_and_servers_that_cannot_tell() {
        assert_eq!(
            QUESTION.answer(&reply_to(QUESTION, Vec::new(), RCODE::NameError)),
            addresses(&[])
        );
        for code in [
            RCODE::ServerFailure,
            RCODE::Refused,
            RCODE::FormatError,
            RCODE::NotImplemented,
        ] {
            assert_eq!(
                QUESTION.answer(&reply_to(QUESTION, Vec::new(), code)),
                Some(Answer::Failure)
            );
        }
        let mut cut = reply(Vec::new());
        cut[2] |= 2;
        assert_eq!(QUESTION.answer(&cut), Some(Answer::Truncated));
    }

    #[test]
    fn what_answers_another_question_is_none() {
        let good = reply(vec![address("web.example", 1)]);
        let others = [
            Asked {
                identifier: 0x1235,
                ..QUESTION
            },
            Asked {
                name: "web.example.org",
                ..QUESTION
            },
            Asked {
                name: "we.example",
                ..QUESTION
            },
        ];
        for other in others {
            assert_eq!(other.answer(&good), None);
        }
        assert_eq!(QUESTION.answer(&QUESTION.message().unwrap()), None);
        assert_eq!(QUESTION.answer(&good[..11]), None);
        assert_eq!(QUESTION.answer(&[]), None);
    }

    #[test]
    fn hostile_answers_end_the_look_up_and_nothing_else() {
        let good = reply(vec![alias("web.example", "b.example"), address("b.example", 9)]);
        for length in 12..good.len() {
            assert_ne!(QUESTION.answer(&good[..length]), addresses(&[9]), "{length}");
        }
        for (at, count) in [(4, 2), (6, 0xffff), (8, 257), (10, 0x8000)] {
            let mut many = good.clone();
            many[at..at + 2].copy_from_slice(&u16::to_be_bytes(count));
            assert!(
                matches!(QUESTION.answer(&many), Some(Answer::Failure) | None),
                "{at}"
            );
        }
        // Every byte in turn, and then many at once by a generator that always gives the same.
        let mut seed = 1u64;
        for round in 0..20_000usize {
            let mut bent = good.clone();
            for _ in 0..=round % 5 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = 2 + (seed >> 33) as usize % (bent.len() - 2);
                bent[at] = (seed >> 56) as u8;
            }
            if let Some(Answer::Addresses(found)) = QUESTION.answer(&bent) {
                assert!(found.len() <= MAX_ADDRESSES);
            }
        }
    }
}
