//! The body of an answer: where it ends, and its start, which is kept. Everything here is pure.

use echo_shared::attempt::BodyFault;
use httparse::Status;

/// Longest line of chunk framing, an extension or a trailer.
const LONGEST_LINE: usize = 1_024;

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Nothing,
    Length(u64),
    Chunked,
    /// The body goes on until the connection ends.
    ToTheEnd,
}

#[derive(Debug)]
pub(crate) struct Body {
    expects: Expects,
    kept: Vec<u8>,
    /// The most bytes that are kept.
    most: usize,
    /// Whether bytes came that were not kept.
    has_dropped: bool,
}

#[derive(Debug)]
enum Expects {
    /// So many bytes of content, and then the end.
    Content(u64),
    ChunkSize,
    /// So many bytes of a chunk.
    Chunk(u64),
    ChunkEnd,
    Trailer,
    Anything,
    Nothing,
}

impl Body {
    pub(crate) const fn new(framing: Framing, most: usize) -> Self {
        let expects = match framing {
            Framing::Nothing | Framing::Length(0) => Expects::Nothing,
            Framing::Length(length) => Expects::Content(length),
            Framing::Chunked => Expects::ChunkSize,
            Framing::ToTheEnd => Expects::Anything,
        };
        Self { expects, kept: Vec::new(), most, has_dropped: false }
    }

    pub(crate) const fn is_whole(&self) -> bool {
        matches!(self.expects, Expects::Nothing)
    }

    /// Whether no more of it is worth reading.
    pub(crate) const fn is_enough(&self) -> bool {
        self.is_whole() || self.kept.len() == self.most
    }

    /// Whether the end of the connection is the end of the body.
    pub(crate) const fn may_end(&self) -> bool {
        matches!(self.expects, Expects::Anything | Expects::Nothing)
    }

    /// Whether the body is longer than the part that is kept. Where its end is not known yet, it counts as longer.
    pub(crate) fn has_more(&self) -> bool {
        self.has_dropped || (self.kept.len() == self.most && !self.is_whole())
    }

    pub(crate) fn into_start(self) -> Vec<u8> {
        self.kept
    }

    /// Takes from `read` the bytes that belong to the body, as far as they are there.
    ///
    /// # Errors
    /// When the chunks are not well-formed.
    pub(crate) fn take(&mut self, read: &mut Vec<u8>) -> Result<(), BodyFault> {
        while !read.is_empty() {
            match self.expects {
                Expects::Nothing => return Ok(()),
                Expects::Anything => {
                    self.keep(read, u64::MAX);
                }
                Expects::Content(left) => {
                    let left = left - self.keep(read, left);
                    self.expects = if left == 0 { Expects::Nothing } else { Expects::Content(left) };
                }
                Expects::Chunk(left) => {
                    let left = left - self.keep(read, left);
                    self.expects = if left == 0 { Expects::ChunkEnd } else { Expects::Chunk(left) };
                }
                Expects::ChunkSize | Expects::ChunkEnd | Expects::Trailer => {
                    let Some(line) = line(read)? else { return Ok(()) };
                    self.expects = match self.expects {
                        Expects::ChunkSize => match size(&line)? {
                            0 => Expects::Trailer,
                            size => Expects::Chunk(size),
                        },
                        Expects::ChunkEnd if line != b"\r\n" => return Err(BodyFault::BadChunks),
                        Expects::ChunkEnd => Expects::ChunkSize,
                        _ if line == b"\r\n" => Expects::Nothing,
                        _ => Expects::Trailer,
                    };
                }
            }
        }
        Ok(())
    }

    /// Moves up to `most` bytes out of `read`, keeps as many as there is room for, and returns the number moved.
    fn keep(&mut self, read: &mut Vec<u8>, most: u64) -> u64 {
        let taken = usize::try_from(most).unwrap_or(usize::MAX).min(read.len());
        let room = self.most - self.kept.len();
        self.kept.extend_from_slice(&read[..taken.min(room)]);
        self.has_dropped |= taken > room;
        read.drain(..taken);
        taken as u64
    }
}

/// The next line with `\r\n` at its end, however it ended; `None` until it has come.
fn line(read: &mut Vec<u8>) -> Result<Option<Vec<u8>>, BodyFault> {
    let Some(end) = read.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n') else {
        return if read.len() < LONGEST_LINE { Ok(None) } else { Err(BodyFault::TooMuchFraming) };
    };
    let mut line: Vec<u8> = read.drain(..=end).collect();
    if !line.ends_with(b"\r\n") {
        line.insert(end, b'\r');
    }
    Ok(Some(line))
}

fn size(line: &[u8]) -> Result<u64, BodyFault> {
    match httparse::parse_chunk_size(line) {
        Ok(Status::Complete((_, size))) if line[0].is_ascii_hexdigit() => Ok(size),
        _ => Err(BodyFault::BadChunks),
    }
}

#[cfg(test)]
mod tests {
    use echo_shared::attempt::MAX_RESPONSE_BODY_BYTES;

    use super::*;

    /// The start that was kept, whether it was whole, and the rest; in pieces of every size the same.
    fn taken(framing: Framing, bytes: &[u8]) -> Result<(String, bool, usize), BodyFault> {
        let mut results = Vec::new();
        for piece in [1, 2, 3, 7, bytes.len().max(1)] {
            let (mut body, mut read, mut result) =
                (Body::new(framing, MAX_RESPONSE_BODY_BYTES), Vec::new(), Ok(()));
            for piece in bytes.chunks(piece) {
                read.extend_from_slice(piece);
                result = result.and_then(|()| body.take(&mut read));
            }
            let is_whole = body.is_whole();
            results.push(result.map(|()| (excerpt(body), is_whole, read.len())));
        }
        assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
        results.remove(0)
    }

    fn excerpt(body: Body) -> String {
        String::from_utf8(body.into_start()).expect("text")
    }

    #[test]
    fn a_body_ends_where_its_framing_says() {
        let whole = |text: &str, rest| Ok((text.to_owned(), true, rest));
        let part = |text: &str| Ok((text.to_owned(), false, 0));
        let chunked = |bytes: &str| taken(Framing::Chunked, bytes.as_bytes());
        assert_eq!(taken(Framing::Nothing, b"more"), whole("", 4));
        assert_eq!(taken(Framing::Length(0), b""), whole("", 0));
        assert_eq!(taken(Framing::Length(3), b"abcd"), whole("abc", 1));
        assert_eq!(taken(Framing::Length(3), b"ab"), part("ab"));
        assert_eq!(taken(Framing::ToTheEnd, b"abc"), part("abc"));
        assert_eq!(chunked("3\r\nabc\r\n0\r\n\r\n"), whole("abc", 0));
        assert_eq!(
            chunked("3;more=\"x\"\r\nabc\r\n0A\nabcdefghij\n0\na: b\r\nc\n\nrest"),
            whole("abcabcdefghij", 4)
        );
        assert_eq!(chunked("3\r\nabc\r\n0\r\n"), part("abc"));
        assert_eq!(chunked("3\r\nab"), part("ab"));
        for bad in
            ["x\r\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "FFFFFFFFFFFFFFFFF\r\n", "-1\r\n", "\r\nabc"]
        {
            assert_eq!(chunked(bad), Err(BodyFault::BadChunks), "{bad}");
        }
        for endless in ["1;more=".to_owned() + &"x".repeat(5_000), "0".repeat(5_000)] {
            assert_eq!(chunked(&endless), Err(BodyFault::TooMuchFraming));
        }
    }

    #[test]
    fn only_the_start_of_a_body_is_kept() {
        let bytes = "x".repeat(MAX_RESPONSE_BODY_BYTES + 1);
        let (start, is_whole, rest) =
            taken(Framing::Length(bytes.len() as u64), bytes.as_bytes()).expect("fine");
        assert_eq!((start.len(), is_whole, rest), (MAX_RESPONSE_BODY_BYTES, true, 0));
        let mut body = Body::new(Framing::ToTheEnd, MAX_RESPONSE_BODY_BYTES);
        body.take(&mut bytes.into_bytes()).expect("fine");
        assert!(body.is_enough() && !body.is_whole());
    }

    #[test]
    fn a_body_says_whether_it_has_more_than_is_kept() {
        let has_more = |framing, bytes: &str| {
            let (mut body, mut read) =
                (Body::new(framing, MAX_RESPONSE_BODY_BYTES), bytes.as_bytes().to_vec());
            body.take(&mut read).expect("fine");
            body.has_more()
        };
        let full = "x".repeat(MAX_RESPONSE_BODY_BYTES);
        let chunk = format!("400\r\n{full}\r\n");
        assert!(!has_more(Framing::Length(1_024), &full));
        assert!(!has_more(Framing::Length(9), "short"));
        assert!(has_more(Framing::Length(1_025), &full));
        assert!(has_more(Framing::Length(1_025), &format!("{full}x")));
        assert!(!has_more(Framing::Chunked, &format!("{chunk}0\r\n\r\n")));
        assert!(has_more(Framing::Chunked, &chunk));
        assert!(has_more(Framing::Chunked, &format!("{chunk}1\r\nx\r\n0\r\n\r\n")));
        assert!(!has_more(Framing::ToTheEnd, "short"));
        assert!(has_more(Framing::ToTheEnd, &full));
    }
}
