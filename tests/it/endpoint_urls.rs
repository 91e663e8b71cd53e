//! URLs that may be registered, and URLs that are never called (contract §3). This deployment exempts loopback.

use echo_tests::api::Answer;
use echo_tests::project::Project;
use echo_tests::receiver::Receiver;
use echo_tests::shape::text;
use echo_tests::stack::stack;
use serde_json::{Value, json};

async fn register(project: &Project, url: impl Into<Value>) -> Answer {
    project.post("/webhooks", &json!({"url": url.into(), "events": ["call.ended"]})).await
}

async fn each_is_refused(urls: &[&str]) {
    let project = Project::new().await;
    for url in urls {
        let answer = register(&project, *url).await;
        assert_eq!(answer.status, 400, "{url}: {}", answer.text());
        answer.refuses_field("url");
    }
    assert_eq!(project.get("/webhooks").await.ok(200), json!([]));
}

#[tokio::test]
async fn public_https_urls_are_taken_and_kept_as_written() {
    let project = Project::new().await;
    let urls = [
        "https://your-server.com/webhooks/echo",
        "https://example.com",
        "https://Example.com:8443/a/b?c=d&e=%20%2E%2E/..",
        "https://bücher.example/hook",
        "https://8.8.8.8/hook",
        "https://[2606:4700:4700::1111]/hook",
        "https://no-such-host.invalid/hook",
    ];
    for url in urls {
        assert_eq!(register(&project, url).await.ok(201)["url"], url);
    }
}

#[tokio::test]
async fn exempt_literals_and_localhost_may_use_http() {
    let project = Project::new().await;
    let urls = [
        "http://127.0.0.1:65000/hook",
        "http://127.99.1.2:65000/hook",
        "http://[::1]:65000/hook",
        "http://localhost:65000/hook",
        "https://localhost:65000/hook",
    ];
    for url in urls {
        assert_eq!(register(&project, url).await.ok(201)["url"], url);
    }
}

#[tokio::test]
async fn all_others_must_use_https() {
    each_is_refused(&[
        "http://example.com/hook",
        "http://8.8.8.8/hook",
        "http://[2606:4700:4700::1111]/hook",
        "ftp://example.com/hook",
        "ws://example.com/hook",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/plain,x",
    ])
    .await;
}

#[tokio::test]
async fn a_url_must_be_absolute_and_whole() {
    each_is_refused(&[
        "",
        " ",
        "not a url",
        "/webhooks",
        "//example.com/hook",
        "example.com/hook",
        "https:",
        "https://",
        "https:///hook",
        "https://?a=b",
        "https://:443/hook",
        "https://exa mple.com/",
        "https://example.com:99999/",
        "https://[::1",
        "https://[not-an-address]/",
    ])
    .await;
}

#[tokio::test]
async fn a_host_that_no_request_can_be_made_to_is_refused() {
    each_is_refused(&[
        "https://{tenant}.example.com/hook",
        "https://%7Btenant%7D.example.com/hook",
        "https://\"example\".com/hook",
        "https://exa`mple.com/hook",
        "https://a..b.com/hook",
        "https://*.example.com/hook",
        "https://a+b.com/hook",
        "https://-/hook",
        &format!("https://{}.com/hook", "a".repeat(64)),
        &format!("https://{}com/hook", "a.".repeat(126)),
    ])
    .await;
}

#[tokio::test]
async fn a_url_is_requested_as_it_is_shown_or_refused() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let path = "/a%2Fb/%C3%BC//c.;p=1,2/$!*(~)?sig=a%2Bb+c%27d&e=%20&&f=/../?g:@h";
    let endpoint = project.endpoint(&receiver.url_of(path)).await;
    assert_eq!(endpoint.show().await["url"], receiver.url_of(path));
    project.emit_one().await;
    assert_eq!(receiver.first().await.uri, path);

    for (path, requested) in [
        ("/a/../b", "/b"),
        ("/h/%2E%2e/a", "/a"),
        ("/h?sig='a'", "/h?sig=%27a%27"),
        ("/{a}?ü", "/%7Ba%7D?%C3%BC"),
    ] {
        let message = register(&project, receiver.url_of(path)).await.refused(400);
        assert_eq!(
            message,
            format!("url would be requested as {}; register that", receiver.url_of(requested))
        );
        let answer = project.api.patch(&endpoint.path(""), &json!({"url": receiver.url_of(path)})).await;
        answer.refuses_field("url");
    }
    assert_eq!(register(&project, receiver.url_of("/b")).await.ok(201)["url"], receiver.url_of("/b"));
}

#[tokio::test]
async fn a_url_carries_no_user_and_no_fragment() {
    each_is_refused(&[
        "https://user:password@example.com/hook",
        "https://user@example.com/hook",
        "https://:password@example.com/hook",
        "https://example.com@10.0.0.1/hook",
        "https://example.com/hook#top",
        "https://example.com/#",
    ])
    .await;
}

#[tokio::test]
async fn the_services_own_host_is_refused_in_any_spelling() {
    // The emulator's form of an API's own host name: `<id>.execute-api.localhost`.
    let (_, id) = stack().api_url.split_once("/execute-api/").expect("an address by path");
    let host = format!("{}.execute-api.localhost", id.trim_end_matches('/'));
    let spellings = [
        host.clone(),
        host.to_uppercase(),
        format!("{host}."),
        format!("{host}:443"),
        format!("{host}:65000"),
        host.replace('.', "。"),
        host.replace('e', "%65"),
    ];
    let urls: Vec<String> = spellings.iter().map(|host| format!("https://{host}/v1/projects")).collect();
    each_is_refused(&urls.iter().map(String::as_str).collect::<Vec<_>>()).await;

    let project = Project::new().await;
    let endpoint = project.endpoint("https://example.com/").await;
    let answer =
        project.api.patch(&endpoint.path(""), &json!({"url": format!("http://{host}:65000/x")})).await;
    assert_eq!(answer.refused(400), "url must not lead back to this service");
    assert_eq!(endpoint.show().await["url"], "https://example.com/");
    // Another API of the same gateway is a receiver like any other.
    let other = "http://another.execute-api.localhost:65000/x";
    assert_eq!(register(&project, other).await.ok(201)["url"], other);
}

#[tokio::test]
async fn the_apis_of_aws_are_refused_and_what_customers_run_there_is_not() {
    each_is_refused(&[
        "https://dynamodb.eu-west-1.amazonaws.com/",
        "https://SQS.us-east-1.amazonaws.com./123456789012/queue?Action=SendMessage&MessageBody=x",
        "https://123456789012.ddb.us-east-1.amazonaws.com/",
        "https://sts.amazonaws.com/",
        "https://secretsmanager-fips.us-east-1.amazonaws.com:443/",
        "https://vpce-0a1b-2c3d.sqs.us-east-1.vpce.amazonaws.com/",
    ])
    .await;
    let project = Project::new().await;
    for url in [
        "https://a1b2c3.execute-api.us-east-1.amazonaws.com/hook",
        "https://x7y8z9.lambda-url.us-east-1.on.aws/",
        "https://hooks-123.us-east-1.elb.amazonaws.com/hook",
    ] {
        assert_eq!(register(&project, url).await.ok(201)["url"], url);
    }
}

#[tokio::test]
async fn private_ipv4_is_refused_in_any_spelling() {
    each_is_refused(&[
        "https://10.0.0.1/hook",
        "https://10.1/hook",
        "https://167772161/hook",
        "https://0xa000001/hook",
        "https://0x0a.0x00.0x00.0x01/hook",
        "https://012.0.0.1/hook",
        "https://10.0.0.1./hook",
        "https://10.0.0.1:8443/hook",
        "https://%31%30.0.0.1/hook",
        "https://①⓪.0.0.1/hook",
        "https://10。0。0。1/hook",
        "https://172.16.0.1/hook",
        "https://172.31.255.255/hook",
        "https://192.168.1.1/hook",
        "http://192.168.1.1/hook",
    ])
    .await;
}

#[tokio::test]
async fn special_ipv4_is_refused() {
    each_is_refused(&[
        "https://0.0.0.0/hook",
        "https://0/hook",
        "https://0.1.2.3/hook",
        "https://100.64.0.1/hook",
        "https://169.254.169.254/latest/meta-data/",
        "https://2852039166/latest/meta-data/",
        "https://0xa9fea9fe/latest/meta-data/",
        "https://192.0.0.1/hook",
        "https://192.0.2.1/hook",
        "https://198.18.0.1/hook",
        "https://198.51.100.7/hook",
        "https://203.0.113.7/hook",
        "https://224.0.0.1/hook",
        "https://240.0.0.1/hook",
        "https://255.255.255.255/hook",
    ])
    .await;
}

#[tokio::test]
async fn special_ipv6_is_refused() {
    each_is_refused(&[
        "https://[::]/hook",
        "https://[fe80::1]/hook",
        "https://[fc00::1]/hook",
        "https://[fd00:ec2::254]/hook",
        "https://[ff02::1]/hook",
        "https://[2001:db8::1]/hook",
        "https://[100::1]/hook",
        "https://[0:0:0:0:0:0:0:0]/hook",
    ])
    .await;
}

#[tokio::test]
async fn an_ipv4_embedded_in_ipv6_is_judged_too() {
    each_is_refused(&[
        "https://[::ffff:10.0.0.1]/hook",
        "https://[::ffff:a9fe:a9fe]/hook",
        "https://[64:ff9b::a00:1]/hook",
        "https://[64:ff9b::169.254.169.254]/hook",
        "https://[2002:a00:1::]/hook",
        "https://[2002:a9fe:a9fe::1]/hook",
        // Teredo: the last 32 bits hold the client's address, inverted; here it is 10.0.0.1.
        "https://[2001:0:808:808:0:0:f5ff:fffe]/hook",
    ])
    .await;
}

#[tokio::test]
async fn a_url_has_at_most_2048_characters() {
    let project = Project::new().await;
    let long = |length: usize| {
        let start = "https://example.com/";
        format!("{start}{}", "a".repeat(length - start.len()))
    };
    let _ = register(&project, long(2048)).await.ok(201);
    register(&project, long(2049)).await.refuses_field("url");
}

#[tokio::test]
async fn a_url_is_a_string() {
    let project = Project::new().await;
    for wrong in [json!(7), json!(null), json!(true), json!(["https://example.com/"]), json!({"href": "x"})] {
        register(&project, wrong).await.refuses_field("url");
    }
}

#[tokio::test]
async fn the_aws_endpoint_is_never_called_although_loopback_is_exempt() {
    let project = Project::new().await;
    let port = stack().aws.endpoint_url.rsplit(':').next().expect("a port").trim_end_matches('/');
    for host in ["127.0.0.1", "localhost", "[::1]", "127.1", "127.0.0.2"] {
        // The emulator answers any path, so a request that got through would show a status.
        let answer = register(&project, format!("http://{host}:{port}/_ministack/health")).await;
        if answer.status == 201 {
            let endpoint = echo_tests::endpoint::Endpoint::new(&project, answer.json());
            let delivery = project.emit_one().await;
            let attempted = endpoint.attempted(&delivery, 1).await;
            let attempt = &attempted["attempts"][0];
            assert!(attempt["http_status"].is_null(), "{host}: {attempt}");
            assert!(!text(attempt, "error_message").is_empty());
            endpoint.delete().await;
        } else {
            answer.refuses_field("url");
        }
    }
}

#[tokio::test]
async fn a_host_that_does_not_resolve_fails_at_delivery() {
    let project = Project::new().await;
    let endpoint = project.endpoint("https://no-such-host.invalid/hook").await;
    let delivery = project.emit_one().await;
    let attempt = endpoint.attempted(&delivery, 1).await["attempts"][0].clone();
    assert_eq!(attempt["success"], false);
    assert!(attempt["http_status"].is_null() && attempt["response_body"].is_null(), "{attempt}");
    // The same message as for a name with a private address.
    assert_eq!(text(&attempt, "error_message"), "no public address was found for the host of the URL");
}

#[tokio::test]
async fn https_is_tls_even_to_an_exempt_address() {
    let (project, plain) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&plain.url().replace("http:", "https:")).await;
    let delivery = project.emit_one().await;
    let attempt = endpoint.attempted(&delivery, 1).await["attempts"][0].clone();
    assert!(attempt["http_status"].is_null() && attempt["error_message"].is_string(), "{attempt}");
    assert_eq!(plain.count(), 0, "a request went out unencrypted");
}

#[tokio::test]
async fn localhost_is_called_when_loopback_is_exempt() {
    let (project, receiver) = (Project::new().await, Receiver::start().await);
    let endpoint = project.endpoint(&receiver.url().replace("127.0.0.1", "localhost")).await;
    let delivery = project.emit_one().await;
    endpoint.ended(&delivery, "success").await;
    assert_eq!(receiver.first().await.header("host"), format!("localhost:{}", receiver.port()));
}

#[tokio::test]
async fn a_refused_connection_is_a_failed_attempt() {
    let project = Project::new().await;
    let closed = Receiver::start().await.url();
    let endpoint = project.endpoint(&closed).await;
    let delivery = project.emit_one().await;
    let attempt = endpoint.attempted(&delivery, 1).await["attempts"][0].clone();
    assert!(attempt["http_status"].is_null() && attempt["response_body"].is_null(), "{attempt}");
    assert!(!text(&attempt, "error_message").contains("127.0.0.1"), "{attempt}");
}
