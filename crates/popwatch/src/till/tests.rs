//! A till against edges that are slow, shed, refuse or lie.

use super::*;
use popwatch_core::code::Code;
use popwatch_wire::verdict::EventProblem;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// An edge that gives these answers, one per connection, and returns the bodies it saw.
async fn edge(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = tokio::spawn(async move {
        let mut bodies = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            loop {
                let read = stream.read_buf(&mut request).await.unwrap();
                let text = String::from_utf8_lossy(&request).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let length = head.to_lowercase();
                    let length = length.split_once("content-length: ").unwrap().1;
                    let length: usize = length.lines().next().unwrap().parse().unwrap();
                    if body.len() == length {
                        bodies.push(body.to_owned());
                        break;
                    }
                }
                assert!(read > 0, "the request ended early");
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        bodies
    });
    (url, seen)
}

fn http(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn accepted(count: usize) -> String {
    let result = json!({ "id": "a", "status": "accepted", "seq": 1 });
    let body = json!({ "rig": "till-1", "epoch": 3, "durable_seq": 9,
        "results": vec![result; count] });
    http("200 OK", &body.to_string())
}

fn till(url: &str, patience: Patience) -> Till {
    let mut till = Till::new(url, patience);
    till.first_wait = Duration::from_millis(1);
    till
}

#[tokio::test]
async fn a_till_asks_again_with_the_same_bytes() {
    let busy = http(
        "503 Service Unavailable\r\nRetry-After: 0",
        r#"{"code":"PW0201"}"#,
    );
    let (url, seen) = edge(vec![busy.clone(), busy, accepted(1)]).await;
    let verdicts = till(&url, Patience::Endless)
        .report(&[json!({"id": "a"})])
        .await
        .unwrap();
    assert_eq!((verdicts.len(), verdicts[0].seq), (1, Some(1)));
    assert_eq!(seen.await.unwrap(), ["{\"id\":\"a\"}\n"; 3]);
}

#[tokio::test]
async fn patience_ends_with_the_reason() {
    let busy = http(
        "429 Too Many Requests",
        r#"{"code":"PW0121","title":"the queue is full"}"#,
    );
    let (url, _seen) = edge(vec![busy.clone(), busy]).await;
    let error = till(&url, Patience::Tries(2))
        .report(&[json!({})])
        .await
        .unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        format!(
            "gave up after 2 tries; is an edge running at {url}?: \
            PW0121: the queue is full (HTTP 429)"
        )
    );
}

#[tokio::test]
async fn a_refused_request_is_not_repeated() {
    let (url, _seen) = edge(vec![http("415 Unsupported", r#"{"code":"PW0108"}"#)]).await;
    let error = till(&url, Patience::Endless)
        .report(&[json!({})])
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("refused the request: PW0108 (HTTP 415)"),
        "{error}"
    );
}

#[tokio::test]
async fn too_few_verdicts_are_noticed() {
    let (url, _seen) = edge(vec![accepted(1)]).await;
    let error = till(&url, Patience::Endless)
        .report(&[json!({}), json!({})])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("1 verdicts for 2 events"),
        "{error}"
    );
}

#[test]
fn batches_keep_both_bounds() {
    let sizes = |lines: &[String]| {
        batches(lines)
            .iter()
            .map(|batch| batch.len())
            .collect::<Vec<_>>()
    };
    assert_eq!(sizes(&[]), Vec::<usize>::new());
    assert_eq!(sizes(&vec!["x".to_owned(); 201]), [100, 100, 1]);
    let large = "x".repeat(limits::SEND_BYTES_MAX);
    assert_eq!(
        sizes(&["a".into(), large.clone(), large, "b".into()]),
        [1, 1, 1, 1]
    );
}

#[test]
fn rejections_are_counted_by_code() {
    let mut tally = Tally::default();
    let refused = EventProblem::of(Code::DataInvalid, "data.qty", "is missing");
    tally.count(&Verdict::accepted("a".into(), 1));
    tally.count(&Verdict::duplicate("b".into(), None, 1));
    tally.count(&Verdict::rejected(None, &refused));
    assert_eq!(
        tally.sentence(),
        "3 events: 1 accepted, 1 duplicate, 1 rejected, 1 PW0103"
    );
}
