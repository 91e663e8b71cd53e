//! A request and its answer over one connection, each read and written as it goes (RFC 9112 §9.5): a receiver may answer
//! before it has read the request, and close at once.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use echo_shared::attempt::{BodyFault, Missing, SendFailure};
use echo_shared::time::Timestamp;
use tokio::io::ReadBuf;
use tokio::time::timeout_at;

use crate::sender::body::Body;
use crate::sender::connector::{Connection, Stream};
use crate::sender::head::AnswerHead;
use crate::sender::{Deadline, failure, head, retry_after};

/// Most bytes up to the end of the final head, interim answers among them.
const LONGEST_HEAD: usize = 256 * 1_024;

/// Most bytes of a body, whose kept start may come in small chunks with trailers after it.
const LONGEST_BODY: usize = 64 * 1_024;

const READ_AT_ONCE: usize = 8 * 1_024;

/// An answer whose head came.
pub(crate) struct Heard {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    /// Its start, at most as many bytes as were asked for.
    pub(crate) body: Vec<u8>,
    /// Whether more of the body came than that.
    pub(crate) truncated: bool,
    pub(crate) location: Option<String>,
    pub(crate) broken_off: Option<BodyFault>,
    /// Whether another request may follow on the connection.
    pub(crate) is_reusable: bool,
}

pub(crate) struct NoAnswer {
    pub(crate) cause: SendFailure,
    /// Whether a connection that was used before ended without a byte of an answer.
    pub(crate) ended_unheard: bool,
}

/// Sends a request and reads its answer until the deadline, with at most `most` bytes of the body.
pub(crate) async fn exchange(
    connection: &mut Connection,
    request: &[u8],
    most: usize,
    deadline: Deadline,
) -> Result<Heard, NoAnswer> {
    let (client, is_reused) = (connection.client, connection.is_reused);
    let mut talk = Talk::new(&mut *connection.stream, request);
    let no_answer = |cause, ended_unheard| NoAnswer { cause, ended_unheard };
    let head = match timeout_at(deadline.at, talk.head()).await {
        Ok(Ok(head)) => head,
        Ok(Err(NoHead::Invalid(cause))) => return Err(no_answer(cause, false)),
        Ok(Err(NoHead::Ended(error))) => {
            let cause = failure::of_no_head(error.as_ref(), talk.heard > 0, client);
            return Err(no_answer(cause, is_reused && talk.heard == 0));
        }
        Err(_) => {
            let missing = if talk.heard > 0 { Missing::Head } else { Missing::Answer };
            return Err(no_answer(deadline.passed(missing), false));
        }
    };
    let retry_after = match head.status {
        429 | 503 => retry_after::longest(&head.retry_after, Timestamp::now()),
        _ => None,
    };
    let mut body = Body::new(head.framing, most);
    let broken_off = match timeout_at(deadline.at, talk.body(&mut body)).await {
        Ok(read) => read.err(),
        Err(_) => Some(BodyFault::TimedOut { seconds: deadline.seconds() }),
    };
    // A receiver may accept a request at its head and read on. Unless the answer says that the connection closes, the
    // receiver gets the whole request (RFC 9112 §9.5).
    if head.keeps_open && (200..300).contains(&head.status) {
        let _ = timeout_at(deadline.at, talk.send()).await;
    }
    // After a request that was not taken whole, or after bytes beyond the answer, the next bytes could belong to anything.
    let is_reusable = head.keeps_open && body.is_whole() && talk.is_sent() && talk.read.is_empty();
    let truncated = body.has_more();
    Ok(Heard {
        status: head.status,
        retry_after,
        body: body.into_start(),
        truncated,
        location: head.location,
        broken_off,
        is_reusable,
    })
}

enum NoHead {
    /// The connection ended, with an error or without one.
    Ended(Option<io::Error>),
    Invalid(SendFailure),
}

struct Talk<'a> {
    stream: &'a mut dyn Stream,
    unsent: &'a [u8],
    is_flushed: bool,
    /// Why the request could not be written. It counts only if no answer comes.
    not_written: Option<io::Error>,
    /// Bytes that came and were not taken yet.
    read: Vec<u8>,
    /// How many bytes came in all.
    heard: usize,
    buffer: Vec<u8>,
}

impl<'a> Talk<'a> {
    fn new(stream: &'a mut dyn Stream, request: &'a [u8]) -> Self {
        let buffer = vec![0; READ_AT_ONCE];
        Self {
            stream,
            unsent: request,
            is_flushed: false,
            not_written: None,
            read: Vec::new(),
            heard: 0,
            buffer,
        }
    }

    /// The final head, after any interim ones.
    async fn head(&mut self) -> Result<AnswerHead, NoHead> {
        let mut searched = 0;
        loop {
            let blank = self.read.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            self.read.drain(..blank);
            if let Some(length) = head::length(&self.read, searched) {
                let head = head::parse(&self.read[..length]).ok_or(NoHead::Invalid(SendFailure::NotHttp))?;
                self.read.drain(..length);
                searched = 0;
                if head.is_interim() {
                    continue;
                }
                return Ok(head);
            }
            if !head::may_begin(&self.read) {
                return Err(NoHead::Invalid(SendFailure::NotHttp));
            }
            if self.heard > LONGEST_HEAD {
                return Err(NoHead::Invalid(SendFailure::HeadTooLong));
            }
            searched = self.read.len();
            if self.heard > 0 {
                // A receiver may send faster than this is read; the function's other requests go on meanwhile.
                tokio::task::yield_now().await;
            }
            match self.more().await {
                Ok(0) => return Err(NoHead::Ended(self.not_written.take())),
                Ok(_) => {}
                Err(error) => return Err(NoHead::Ended(Some(error))),
            }
        }
    }

    /// The start of the body, which is kept.
    async fn body(&mut self, body: &mut Body) -> Result<(), BodyFault> {
        let most = self.heard + LONGEST_BODY;
        loop {
            let taken = body.take(&mut self.read);
            // A fault after the part that is kept does not matter.
            if body.is_enough() {
                return Ok(());
            }
            taken?;
            if self.heard > most {
                return Err(BodyFault::TooMuchFraming);
            }
            match self.more().await {
                Ok(0) if body.may_end() => return Ok(()),
                Ok(0) => return Err(BodyFault::CutShort),
                Ok(_) => {}
                Err(error) => return Err(failure::of_body(&error)),
            }
        }
    }

    /// Waits for bytes of the answer, and meanwhile sends as much of the request as the receiver takes. 0 is the end.
    async fn more(&mut self) -> io::Result<usize> {
        poll_fn(|context| {
            if self.not_written.is_none()
                && let Poll::Ready(Err(error)) = self.poll_send(context)
            {
                // The receiver may have answered before it closed, so the answer is still read.
                self.not_written = Some(error);
            }
            self.poll_read(context)
        })
        .await
    }

    /// Sends the rest of the request, as far as the receiver takes it.
    async fn send(&mut self) {
        if self.not_written.is_none() {
            self.not_written = poll_fn(|context| self.poll_send(context)).await.err();
        }
    }

    /// Whether the whole request is on its way, also through TLS.
    const fn is_sent(&self) -> bool {
        self.is_flushed && self.not_written.is_none()
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let sent = ready!(Pin::new(&mut *self.stream).poll_write(context, self.unsent))?;
            if sent == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.unsent = &self.unsent[sent..];
        }
        if !self.is_flushed {
            ready!(Pin::new(&mut *self.stream).poll_flush(context))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(&mut self.buffer);
        let mut read = ready!(Pin::new(&mut *self.stream).poll_read(context, &mut buffer));
        if read.is_err() {
            // TLS tells an error before the bytes that came whole ahead of it; asked again, it has those.
            let again = Pin::new(&mut *self.stream).poll_read(context, &mut buffer);
            if matches!(again, Poll::Ready(Ok(()))) && !buffer.filled().is_empty() {
                read = Ok(());
            }
        }
        match read {
            Ok(()) => {}
            // TLS ended without the alert that should announce it. curl and browsers take that for the end. It does a
            // sender no harm: a head that was cut off stays incomplete, and a body does not decide.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
        self.read.extend_from_slice(buffer.filled());
        self.heard += buffer.filled().len();
        Poll::Ready(Ok(buffer.filled().len()))
    }
}
