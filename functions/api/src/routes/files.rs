//! The files of the pages for people. They are compiled into the function, below 270 KB together, and served under
//! addresses with their hash; a page itself is revalidated. There is no build step.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::error::ApiError;

/// A page loads nothing from elsewhere and runs nothing inline, and no script may turn a text into HTML.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// The files that one page loads, by their names.
pub(super) struct Files {
    files: &'static [(&'static str, &'static str)],
    /// Part of the files' addresses, so that browsers can keep the files for good and see a new release at once.
    version: LazyLock<String>,
}

/// Files of a folder.
macro_rules! files {
    ($folder:literal; $($name:literal)*) => {{
        const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!($folder, $name)))),*];
        Files::new(FILES, std::sync::LazyLock::new(|| Files::version_of(FILES)))
    }};
}
pub(super) use files;

impl Files {
    pub(super) const fn new(
        files: &'static [(&'static str, &'static str)],
        version: LazyLock<String>,
    ) -> Self {
        Self { files, version }
    }

    pub(super) fn version_of(files: &[(&str, &str)]) -> String {
        let mut hash = Sha256::new();
        for (name, text) in files {
            hash.update(name);
            hash.update(text);
        }
        hex::encode(&hash.finalize()[..8])
    }

    /// The page's text, with its links to these files, which are served below `folder`.
    pub(super) fn linked(&self, folder: &str, page: &str) -> String {
        let scripts = self.files.iter().filter(|(name, _)| name.ends_with(".js"));
        let preload =
            |name: &str| format!("    <link rel=\"modulepreload\" href=\"{folder}/{{version}}/{name}\">\n");
        let preloads: String = scripts.map(|(name, _)| preload(name)).collect();
        page.replace("{preloads}\n", &preloads).replace("{version}", &self.version)
    }

    /// The answer with a file.
    pub(super) fn answer(&self, version: &str, name: &str) -> Response {
        let Some((_, text)) = self.files.iter().find(|(known, _)| *known == name) else {
            return ApiError::route_not_found().into_response();
        };
        let kind =
            if name.ends_with(".css") { "text/css; charset=utf-8" } else { "text/javascript; charset=utf-8" };
        // During an update, a page of one version can reach a function of the other.
        let kept = if version == *self.version { "public, max-age=31536000, immutable" } else { "no-store" };
        guarded(text.into_response(), kind, kept)
    }
}

/// The answer with a page, or without it if the browser has it already.
pub(super) fn page(page: String, headers: &HeaderMap, policy: HeaderValue) -> Response {
    let etag = format!("\"{}\"", hex::encode(&Sha256::digest(&page)[..8]));
    let is_known =
        headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let answer = if is_known { StatusCode::NOT_MODIFIED.into_response() } else { page.into_response() };
    let mut answer = guarded(answer, "text/html; charset=utf-8", "no-cache");
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        answer.headers_mut().insert(header::ETAG, etag);
    }
    answer
}

fn guarded(mut answer: Response, kind: &'static str, kept: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, kept),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in headers {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
