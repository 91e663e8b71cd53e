//! The one place that says what kind of failure an error of the HTTP client is: by the types in its chain of
//! sources, never by its text.

use std::error::Error;
use std::io;
use std::time::Duration;

use echo_shared::attempt::{Outcome, SendFailure};
use echo_shared::endpoint_url::UrlRefused;
use hyper_util::client::legacy;

use crate::sender::allowance::Spent;
use crate::sender::client::timed_out;
use crate::sender::resolver::ResolveError;

/// The cause when a URL is not called.
pub(crate) const fn of_url(refused: UrlRefused) -> SendFailure {
    match refused {
        UrlRefused::OwnHost => SendFailure::OwnHost,
        _ => SendFailure::ForbiddenAddress,
    }
}

/// The cause of a request that got no answer, or an answer that broke off.
pub(crate) fn classify(error: &(dyn Error + 'static), timeout: Duration) -> SendFailure {
    let mut source = Some(error);
    while let Some(cause) = source {
        if let Some(cause) = known(cause, timeout) {
            return cause;
        }
        source = match cause.downcast_ref::<io::Error>() {
            // An I/O error's `source` skips the error that it wraps.
            Some(wrapper) => wrapper.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => cause.source(),
        };
    }
    if error.downcast_ref().is_some_and(legacy::Error::is_connect) {
        SendFailure::Connect
    } else {
        SendFailure::Broken
    }
}

fn known(cause: &(dyn Error + 'static), timeout: Duration) -> Option<SendFailure> {
    if let Some(spent) = cause.downcast_ref::<Spent>() {
        return Some(match spent {
            Spent::Time => timed_out(timeout),
            Spent::Bytes => SendFailure::NotHttp,
        });
    }
    if let Some(cause) = cause.downcast_ref::<ResolveError>() {
        return Some(match cause {
            ResolveError::Forbidden => SendFailure::ForbiddenAddress,
            ResolveError::NotResolved(_) | ResolveError::NoAddress => SendFailure::Dns,
        });
    }
    if cause.is::<rustls::Error>() {
        return Some(SendFailure::Tls);
    }
    cause.downcast_ref::<hyper::Error>().filter(|cause| cause.is_parse()).map(|_| SendFailure::NotHttp)
}

/// An outcome's name in the log.
pub(crate) const fn name_of(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Answered { status: 200..=299, .. } => "success",
        Outcome::Answered { .. } => "refused",
        Outcome::Failed { cause, .. } => match cause {
            SendFailure::TimedOut { .. } => "timed_out",
            SendFailure::Dns => "dns",
            SendFailure::Tls => "tls",
            SendFailure::Connect => "connect",
            SendFailure::Broken => "broken",
            SendFailure::ForbiddenAddress => "forbidden_address",
            SendFailure::OwnHost => "own_host",
            SendFailure::NotHttp => "not_http",
        },
    }
}
