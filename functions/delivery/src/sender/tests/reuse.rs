//! Connections that are used again, and receivers that close them just then.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const NO_CONTENT: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// A receiver that counts its connections and requests, and does with each connection as `serve` says.
async fn counting<F>(
    serve: impl Fn(TcpStream, Arc<AtomicUsize>) -> F + Send + 'static,
) -> (Post, Arc<AtomicUsize>, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let (connections, requests) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let counted = (Arc::clone(&connections), Arc::clone(&requests));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream, Arc::clone(&requests)));
        }
    });
    (post(&url), counted.0, counted.1)
}

/// Reads one request; `false` at the end of the connection.
async fn reads_one(stream: &mut TcpStream, requests: &AtomicUsize) -> bool {
    let mut request = Vec::new();
    while !request.ends_with(b"{\"a\":1}") {
        if stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
            continue;
        }
        return false;
    }
    requests.fetch_add(1, Ordering::SeqCst);
    true
}

async fn answers_all(mut stream: TcpStream, requests: Arc<AtomicUsize>) {
    while reads_one(&mut stream, &requests).await {
        let _ = stream.write_all(NO_CONTENT).await;
    }
}

fn once(outcome: Outcome) -> Sent {
    Sent { outcome, again: false }
}

#[tokio::test]
async fn a_connection_is_used_again_at_once_but_by_no_other_endpoint() {
    let (post, connections, _) = counting(answers_all).await;
    let sender = sender(rules());
    // A busy machine may take longer between two requests than a connection is kept.
    let mut sent = 0;
    while sent < 2 || (connections.load(Ordering::SeqCst) == sent && sent < 10) {
        assert_eq!(sender.send(copy(&post)).await, once(answered(204, "")));
        sent += 1;
    }
    let before = connections.load(Ordering::SeqCst);
    assert!(before < sent, "{before} connections for {sent} requests");
    let other = Post { endpoint: EndpointId::new(Timestamp::now()), ..copy(&post) };
    assert_eq!(sender.send(other).await, once(answered(204, "")));
    assert_eq!(connections.load(Ordering::SeqCst), before + 1);
}

/// A receiver may close an idle connection after a second, while a request is on its way.
#[tokio::test]
async fn a_connection_that_was_idle_for_half_a_second_is_closed_and_not_used_again() {
    let (closed, is_closed) = oneshot::channel();
    let closed = Arc::new(std::sync::Mutex::new(Some(closed)));
    let (post, connections, _) = counting(move |stream, requests| {
        let closed = closed.lock().expect("a lock").take();
        async move {
            answers_all(stream, requests).await;
            closed.map(|closed| closed.send(()));
        }
    })
    .await;
    let sender = sender(rules());
    assert_eq!(sender.send(copy(&post)).await, once(answered(204, "")));
    let closed = tokio::time::timeout(Duration::from_secs(5), is_closed).await;
    assert!(matches!(closed, Ok(Ok(()))), "the connection is still open");
    assert_eq!(sender.send(copy(&post)).await, once(answered(204, "")));
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

/// The receiver takes a second request from the wire and closes without an answer, like a receiver that was closing already.
#[tokio::test]
async fn a_connection_that_closes_as_it_is_used_again_costs_no_attempt() {
    let (post, connections, requests) =
        counting(async |mut stream: TcpStream, requests: Arc<AtomicUsize>| {
            if reads_one(&mut stream, &requests).await {
                let _ = stream.write_all(NO_CONTENT).await;
            }
            reads_one(&mut stream, &requests).await;
        })
        .await;
    let sender = sender(rules());
    assert_eq!(sender.send(copy(&post)).await, once(answered(204, "")));
    let repeated = Sent { outcome: answered(204, ""), again: true };
    assert_eq!(sender.send(copy(&post)).await, repeated);
    // The one that is counted as sent again came twice.
    assert_eq!((connections.load(Ordering::SeqCst), requests.load(Ordering::SeqCst)), (2, 3));
}

/// HAProxy and Apache say so to a connection that was idle for too long.
#[tokio::test]
async fn a_timeout_of_an_idle_connection_is_no_answer_to_the_request() {
    let (post, connections, _) = counting(async |mut stream: TcpStream, requests: Arc<AtomicUsize>| {
        let late = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        for answer in [NO_CONTENT, late] {
            if reads_one(&mut stream, &requests).await {
                let _ = stream.write_all(answer).await;
            }
        }
    })
    .await;
    let sender = sender(rules());
    assert_eq!(sender.send(copy(&post)).await, once(answered(204, "")));
    assert_eq!(sender.send(copy(&post)).await, Sent { outcome: answered(204, ""), again: true });
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_fresh_connection_that_closes_without_an_answer_is_a_failed_attempt() {
    let (post, connections, requests) =
        counting(async |mut stream: TcpStream, requests: Arc<AtomicUsize>| {
            reads_one(&mut stream, &requests).await;
        })
        .await;
    assert_eq!(sender(rules()).send(copy(&post)).await, once(failed(SendFailure::Closed)));
    assert_eq!((connections.load(Ordering::SeqCst), requests.load(Ordering::SeqCst)), (1, 1));
}

/// Bytes that nobody asked for would be taken for the next answer.
#[tokio::test]
async fn a_connection_that_said_too_much_is_not_used_again() {
    let (post, connections, _) = counting(async |mut stream: TcpStream, requests: Arc<AtomicUsize>| {
        while reads_one(&mut stream, &requests).await {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 410 Gone\r\n")
                .await;
        }
    })
    .await;
    let sender = sender(rules());
    for made in 1..=2 {
        assert_eq!(sender.send(copy(&post)).await, once(answered(200, "ok")));
        assert_eq!(connections.load(Ordering::SeqCst), made);
    }
}
