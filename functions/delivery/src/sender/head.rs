//! The head of an answer, read as leniently as clients such as curl read it.
//!
//! Everything here is pure. It accepts the faults that curl accepts: folded fields (RFC 9112 §5.2), a space before the
//! colon, an invalid field name, thousands of fields, a bare CR (RFC 9112 §2.2). It refuses a status line that is not
//! HTTP/1, and lengths that differ or are no number, because they leave the answer's end unknown.

use echo_shared::endpoint_url::MAX_URL_CHARS;
use httparse::{EMPTY_HEADER, ParserConfig, Response, Status};

use crate::sender::body::Framing;

/// The most fields that an answer may have: enough for any answer that clients accept, and few enough to hold.
const MOST_FIELDS: usize = 8_192;

/// As many characters of a redirect's target are kept as its endpoint's URL may have.
const LONGEST_LOCATION: usize = MAX_URL_CHARS;

/// The parts of a head that matter to a sender.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AnswerHead {
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    /// Whether another request may follow on the connection.
    pub(crate) keeps_open: bool,
    /// The values of `retry-after`, in their order.
    pub(crate) retry_after: Vec<String>,
    /// Where a redirect leads.
    pub(crate) location: Option<String>,
}

impl AnswerHead {
    /// An interim answer is followed by another head. After `101` nothing follows that is HTTP, so it is final.
    pub(crate) const fn is_interim(&self) -> bool {
        matches!(self.status, 100..=199) && self.status != 101
    }
}

/// The head's length with the empty line that ends it, if it has come. The first `searched` bytes hold no end.
pub(crate) fn length(read: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3);
    let newlines = (from..read.len()).filter(|at| read[*at] == b'\n');
    newlines.map(|at| at + 1).find_map(|end| match &read[end..] {
        [b'\n', ..] => Some(end + 1),
        [b'\r', b'\n', ..] => Some(end + 2),
        _ => None,
    })
}

/// Whether these bytes may be the beginning of an answer.
pub(crate) fn may_begin(read: &[u8]) -> bool {
    const BEGINNING: &[u8] = b"HTTP/1.";
    let length = read.len().min(BEGINNING.len());
    read[..length] == BEGINNING[..length]
}

/// Reads a whole head; `None` when it is not one of HTTP/1.
pub(crate) fn parse(head: &[u8]) -> Option<AnswerHead> {
    let head = without_bare_cr(head);
    let lines = head.iter().filter(|byte| **byte == b'\n').count();
    let mut fields = vec![EMPTY_HEADER; lines.min(MOST_FIELDS)];
    let mut response = Response::new(&mut fields);
    let parsed = ParserConfig::default()
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .ignore_invalid_headers_in_responses(true)
        .parse_response(&mut response, &head);
    if !matches!(parsed, Ok(Status::Complete(_))) {
        return None;
    }
    let status = response.code.filter(|code| *code >= 100)?;
    let is_old = response.version == Some(0);
    let values = |name: &str| -> Vec<String> {
        let fields = response.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        // A folded value still has its line ends.
        fields.map(|field| String::from_utf8_lossy(field.value).replace(['\r', '\n'], " ")).collect()
    };
    let has_token = |values: &[String], token: &str| {
        values.iter().flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(token))
    };
    let (connection, codings, lengths) =
        (values("connection"), values("transfer-encoding"), values("content-length"));
    let is_coded = codings.iter().flat_map(|value| value.split(',')).any(|one| {
        let coding = one.trim();
        !coding.is_empty() && !coding.eq_ignore_ascii_case("identity")
    });
    let framing = match status {
        100..=199 | 204 | 304 => Framing::Nothing,
        _ if has_token(&codings, "chunked") => Framing::Chunked,
        _ if is_coded => Framing::ToTheEnd,
        _ => of_length(&lengths)?,
    };
    let asks_to_stay = if is_old { has_token(&connection, "keep-alive") } else { status != 101 };
    // Where the end of the answer could be understood in two ways, nothing is sent after it.
    let is_plain = match framing {
        Framing::Nothing => !is_coded && lengths.iter().all(|length| length.trim() == "0"),
        _ => !is_coded || (!is_old && lengths.is_empty() && ends_in_chunked(&codings)),
    };
    let keeps_open = asks_to_stay && is_plain && !has_token(&connection, "close");
    let location = values("location").into_iter().next().filter(|_| matches!(status, 300..=399));
    let location = location.map(|url| url.chars().take(LONGEST_LOCATION).collect());
    Some(AnswerHead { status, framing, keeps_open, retry_after: values("retry-after"), location })
}

/// Whether `chunked` is the last coding, which alone shows where the body ends (RFC 9112 §6.3).
fn ends_in_chunked(codings: &[String]) -> bool {
    let last = codings.iter().flat_map(|value| value.split(',')).next_back();
    last.is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"))
}

/// Without a length an answer goes on until the connection ends; so does one whose length is too large to be read, or
/// has something behind its digits. `None` for lengths that differ or do not begin with a digit.
fn of_length(values: &[String]) -> Option<Framing> {
    let mut all = values.iter().flat_map(|value| value.split(',')).map(str::trim);
    let Some(first) = all.next() else { return Some(Framing::ToTheEnd) };
    if !first.starts_with(|c: char| c.is_ascii_digit()) || all.any(|other| other != first) {
        return None;
    }
    Some(first.parse().map_or(Framing::ToTheEnd, Framing::Length))
}

/// A CR inside a field's line becomes a space. One in the status line stays, and is refused.
fn without_bare_cr(head: &[u8]) -> Vec<u8> {
    let mut head = head.to_vec();
    let fields = head.iter().position(|byte| *byte == b'\n').unwrap_or(head.len());
    for at in fields..head.len() {
        if head[at] == b'\r' && head.get(at + 1) != Some(&b'\n') {
            head[at] = b' ';
        }
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_at_its_first_empty_line() {
        let cases: [(&[u8], Option<usize>); 6] = [
            (b"HTTP/1.1 200 OK\r\n\r\nbody\r\n\r\n", Some(19)),
            (b"HTTP/1.1 200 OK\n\nbody", Some(17)),
            (b"HTTP/1.1 200 OK\na: b\r\n\nbody", Some(23)),
            (b"HTTP/1.1 200 OK\r\n", None),
            (b"HTTP/1.1 200 OK\r\n\r", None),
            (b"", None),
        ];
        for (read, expected) in cases {
            assert_eq!(length(read, 0), expected, "{}", String::from_utf8_lossy(read));
            // However the bytes are cut into pieces, the end is found once it is there.
            let Some(end) = expected else { continue };
            for searched in 0..end {
                assert_eq!(length(&read[..searched], 0), None);
                assert_eq!(length(read, searched), Some(end), "{searched} searched before");
            }
        }
    }

    #[test]
    fn a_head_says_where_its_answer_ends_and_whether_the_connection_stays() {
        let cases = [
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n", Framing::Length(5), true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n", Framing::Length(5), true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 5, 5\r\n", Framing::Length(5), true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n", Framing::ToTheEnd, true),
            ("HTTP/1.1 204 None\r\n", Framing::Nothing, true),
            ("HTTP/1.1 204 None\r\ncontent-length: 0\r\n", Framing::Nothing, true),
            ("HTTP/1.1 204 None\r\ncontent-length: 5\r\n", Framing::Nothing, false),
            ("HTTP/1.1 304 Same\r\ntransfer-encoding: chunked\r\n", Framing::Nothing, false),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, gzip\r\n", Framing::Chunked, false),
            ("HTTP/1.1 200 OK\r\n", Framing::ToTheEnd, true),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, Chunked\r\n", Framing::Chunked, true),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n",
                Framing::Chunked,
                false,
            ),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n", Framing::ToTheEnd, false),
            ("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n", Framing::Chunked, false),
            ("HTTP/1.0 200 OK\r\ncontent-length: 5\r\n", Framing::Length(5), false),
            ("HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 5\r\n", Framing::Length(5), true),
            ("HTTP/1.1 200 OK\r\nconnection: x, close\r\ncontent-length: 5\r\n", Framing::Length(5), false),
            ("HTTP/1.1 101 Switching\r\n", Framing::Nothing, false),
        ];
        for (head, framing, keeps_open) in cases {
            let parsed = parse(format!("{head}\r\n").as_bytes()).expect(head);
            assert_eq!((parsed.framing, parsed.keeps_open), (framing, keeps_open), "{head}");
        }
    }

    #[test]
    fn lengths_that_contradict_and_status_lines_that_are_none_stay_refused() {
        for head in [
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -5\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: many\r\n",
            "HTTP/2 200\r\n",
            "HTTP/1.1 2OO OK\r\n",
            "HTTP/1.1 099 OK\r\n",
            "HTTP/1.1 200 O\x01K\r\n",
            "HTTP/1.1 200 O\rK\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
        ] {
            assert_eq!(parse(format!("{head}\r\n").as_bytes()), None, "{head}");
        }
    }
}
