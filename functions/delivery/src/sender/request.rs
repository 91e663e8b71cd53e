//! A request as it goes over the wire.

use crate::sender::Post;

/// `None` when the URL or a header holds something that HTTP cannot carry, which no row of ours does.
pub(crate) fn written(post: &Post) -> Option<Vec<u8>> {
    let url = post.url.as_url();
    let host = url.host_str()?;
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    // `host` comes first: RFC 9110 §7.2.
    let mut head = format!("POST {}{query} HTTP/1.1\r\nhost: {authority}\r\n", url.path());
    let length = post.body.len().to_string();
    let ours = [
        ("user-agent", concat!("echo-webhooks/", env!("CARGO_PKG_VERSION"))),
        ("accept", "*/*"),
        ("content-length", &length),
    ];
    let is_own = |name: &str| post.headers.iter().any(|(own, _)| own == name);
    let given = post.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in given.chain(ours.into_iter().filter(|(name, _)| !is_own(name))) {
        let is_token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        if !is_token || value.bytes().any(|b| b.is_ascii_control()) {
            return None;
        }
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
    Some([head.as_bytes(), &post.body].concat())
}
