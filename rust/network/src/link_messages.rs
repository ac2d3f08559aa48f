//! The file of link messages (docs/formats.md, "Link messages").

const HEADER: &str = "wpod-links 1";
/// The length of a netlink message's header (netlink(7)).
pub const HEADER_BYTES: usize = 16;

/// Whose network namespace a message is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Where {
    /// The one that this program was started in.
    Here,
    /// The container's.
    There,
}

/// One netlink message and what is to be known about it.
#[derive(PartialEq, Eq, Debug)]
pub struct LinkMessage {
    pub place: Where,
    /// What it makes, for errors.
    pub name: String,
    /// An error number that is as good as success; 0 for none.
    pub tolerated: i32,
    pub content: Vec<u8>,
    /// Where the number of the container's process belongs.
    pub pid_offset: Option<usize>,
}

impl LinkMessage {
    /// The message with the process's number in its place.
    pub fn with_process(&self, pid: u32) -> Vec<u8> {
        let mut content = self.content.clone();
        if let Some(offset) = self.pid_offset {
            content[offset..offset + 4].copy_from_slice(&pid.to_ne_bytes());
        }
        content
    }
}

/// Reads a whole file; the error names the line.
pub fn parse(text: &str) -> Result<Vec<LinkMessage>, String> {
    let mut lines = text.lines();
    if lines.next() != Some(HEADER) {
        return Err("not a file of link messages of this version".to_owned());
    }
    lines
        .enumerate()
        .map(|(index, line)| parse_line(line).ok_or_else(|| format!("line {} is malformed", index + 2)))
        .collect()
}

fn parse_line(line: &str) -> Option<LinkMessage> {
    let words: Vec<&str> = line.split(' ').collect();
    let [place, name, tolerated, pid_offset, content] = words[..] else {
        return None;
    };
    let place = match place {
        "here" => Where::Here,
        "there" => Where::There,
        _ => return None,
    };
    let content = bytes(content)?;
    let length = u32::from_ne_bytes(content.get(..4)?.try_into().ok()?) as usize;
    let pid_offset = match pid_offset {
        "-1" => None,
        number => Some(number.parse::<usize>().ok()?),
    };
    let fits = pid_offset.is_none_or(|offset| offset >= HEADER_BYTES && offset + 4 <= content.len());
    if content.len() < HEADER_BYTES || length != content.len() || !fits {
        return None;
    }
    Some(LinkMessage {
        place,
        name: name.to_owned(),
        tolerated: tolerated.parse().ok()?,
        content,
        pid_offset,
    })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    if digits.len() % 2 != 0 {
        return None;
    }
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "here veth 17 16 1400000010000506010000000000000001020304";

    #[test]
    fn a_whole_line() {
        let parsed = parse(&format!("{HEADER}\n{LINE}\n")).unwrap();
        assert_eq!(parsed.len(), 1);
        let one = &parsed[0];
        assert_eq!(
            (one.place, one.name.as_str(), one.tolerated),
            (Where::Here, "veth", 17)
        );
        assert_eq!(&one.with_process(0x0807_0605)[16..], 0x0807_0605u32.to_ne_bytes());
    }

    #[test]
    fn what_is_refused() {
        let refused = [
            "here veth 17 16 14",
            "here veth 17 17 1400000010000506010000000000000001020304",
            "here veth 17 0 1400000010000506010000000000000001020304",
            "here veth 17 -1 1500000010000506010000000000000001020304",
            "here veth 17 -1 140000001000050601000000000000000102030",
            "here veth x -1 1400000010000506010000000000000001020304",
            "near veth 17 -1 1400000010000506010000000000000001020304",
            "",
        ];
        for line in refused {
            assert!(parse(&format!("{HEADER}\n{line}\n")).is_err(), "{line}");
        }
        assert!(parse(LINE).is_err());
        assert_eq!(parse(HEADER).unwrap(), []);
    }
}
