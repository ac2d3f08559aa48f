//! One entry of a container's log: `TIME STREAM TAG CONTENT LF` (CRI's format).

/// The most content that one entry holds.
pub const MAX_CONTENT_BYTES: usize = 16384;
/// Length of everything before the content; the same for both streams and both tags.
pub const HEADER_BYTES: usize = 45;

/// Which of the guest's streams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Whether the guest's line ended here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tag {
    /// A newline followed the content.
    Full,
    /// The output goes on in the next entry of the same stream.
    Partial,
}

/// The entry's beginning, up to and with the space before the content.
///
/// `realtime` is in nanoseconds since 1970; a clock before 1970 or after 9999 is written as the nearest
/// year that four digits can say, so that the width holds.
pub fn header(realtime: i64, stream: Stream, tag: Tag) -> [u8; HEADER_BYTES] {
    let mut text = *b"0000-00-00T00:00:00.000000000+00:00 stdxxx X ";
    const LAST_SECOND: i64 = 253_402_300_799;
    let seconds = realtime.div_euclid(1_000_000_000).clamp(0, LAST_SECOND);
    let nanoseconds = realtime.rem_euclid(1_000_000_000);
    let (year, month, day) = civil(seconds / 86_400);
    let of_day = seconds % 86_400;
    put(&mut text[0..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    put(&mut text[11..13], of_day / 3600);
    put(&mut text[14..16], of_day / 60 % 60);
    put(&mut text[17..19], of_day % 60);
    put(&mut text[20..29], nanoseconds);
    text[39..42].copy_from_slice(match stream {
        Stream::Stdout => b"out",
        Stream::Stderr => b"err",
    });
    text[43] = match tag {
        Tag::Full => b'F',
        Tag::Partial => b'P',
    };
    text
}

/// Writes `number` with as many digits as there is room.
fn put(room: &mut [u8], mut number: i64) {
    for digit in room.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of a day since 1970 (the algorithm of the proleptic Gregorian calendar with
/// years that begin in March, so that the leap day is the last one).
fn civil(day_since_1970: i64) -> (i64, i64, i64) {
    let day = day_since_1970 + 719_468;
    let era = day.div_euclid(146_097);
    let day_of_era = day.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time_of(realtime: i64) -> String {
        let text = header(realtime, Stream::Stdout, Tag::Full);
        String::from_utf8(text[..35].to_vec()).unwrap()
    }

    #[test]
    fn known_dates() {
        assert_eq!(time_of(0), "1970-01-01T00:00:00.000000000+00:00");
        assert_eq!(
            time_of(951_782_400_000_000_001),
            "2000-02-29T00:00:00.000000001+00:00"
        );
        assert_eq!(
            time_of(1_709_251_199_999_999_999),
            "2024-02-29T23:59:59.999999999+00:00"
        );
        assert_eq!(
            time_of(4_107_542_400_000_000_000),
            "2100-03-01T00:00:00.000000000+00:00"
        );
    }

    #[test]
    fn a_clock_before_1970_keeps_the_width() {
        assert_eq!(&time_of(-1)[..20], "1970-01-01T00:00:00.");
        assert_eq!(&time_of(i64::MAX)[..5], "2262-");
    }

    #[test]
    fn streams_and_tags() {
        assert!(header(0, Stream::Stderr, Tag::Partial).ends_with(b" stderr P "));
        assert!(header(0, Stream::Stdout, Tag::Full).ends_with(b" stdout F "));
    }
}
