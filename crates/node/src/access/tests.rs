use super::*;
use axum::http::HeaderValue;

use crate::access::desk::Desk;

/// A guard of an organisation that shows on the venue's network, and an operator's pass.
fn guard(name: &str, plain_lan: bool) -> (Guard, String) {
    let data = std::env::temp_dir().join(format!("popwatch-guard-{name}-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&data));
    std::fs::create_dir_all(&data).unwrap();
    let ambient = Ambient::system();
    let desk = Desk::new(&data, &ambient);
    desk.keygen().unwrap();
    let subject = Subject {
        org: String::from("acme"),
        pass: String::new(),
        actor: String::from("a1"),
        scope: Scope::Operator,
        extent: String::new(),
        members: Vec::new(),
        popup: None,
    };
    let pass = desk.issue(subject, 60_000).unwrap();
    let file = data.join("popwatch.toml");
    let config = format!(
        "data = \"{}\"\n[ledger]\n[access]\norg = \"acme\"\nplain_lan = {plain_lan}\n",
        data.display()
    );
    std::fs::write(&file, config).unwrap();
    let access = Access::open(&Config::read(&file).unwrap(), &ambient).unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    (access.guard(None), pass)
}

/// A till's guard asked without a pass for its page and to take a sale, from this machine or elsewhere.
async fn sits_at(guard: &Guard, peer: &str) -> [Result<(), Code>; 2] {
    let line = Line {
        peer: peer.parse().unwrap(),
        key: None,
        is_encrypted: false,
    };
    let guard = guard.on(&line);
    let headers = HeaderMap::new();
    let mut answers = [Ok(()), Ok(())];
    let asks = [(Method::GET, "/v1/status"), (Method::POST, "/v1/events")];
    for (answer, (method, path)) in answers.iter_mut().zip(asks) {
        let asked = Asked {
            method: &method,
            path,
            query: None,
            headers: &headers,
        };
        *answer = guard
            .admit(&asked, &line)
            .await
            .map(drop)
            .map_err(|problem| problem.code);
    }
    answers
}

#[tokio::test]
async fn whoever_sits_at_an_enrolled_till_sells_without_a_pass() {
    let (guard, _) = guard("till", false);
    let guard = Guard {
        rig: Some("till-1".into()),
        ..guard
    };
    let (free, refused) = ([Ok(()), Ok(())], [Err(Code::PassInvalid); 2]);
    let (here, elsewhere) = ("127.0.0.1:40000", "192.0.2.7:40000");
    assert_eq!(sits_at(&guard, here).await, refused, "nobody enrolled it");
    let guard = guard.of_enrolled(true);
    assert_eq!(sits_at(&guard, here).await, free);
    assert_eq!(sits_at(&guard, elsewhere).await, refused);
}

async fn asks(guard: &Guard, method: Method, path: &str, pass: &str) -> Result<(), Code> {
    let line = Line {
        peer: "192.0.2.7:40000".parse().unwrap(),
        key: None,
        is_encrypted: false,
    };
    let mut headers = HeaderMap::new();
    let bearer = HeaderValue::from_str(&format!("Bearer {pass}")).unwrap();
    headers.insert(header::AUTHORIZATION, bearer);
    let asked = Asked {
        method: &method,
        path,
        query: None,
        headers: &headers,
    };
    let admitted = guard.on(&line).admit(&asked, &line).await;
    admitted.map(drop).map_err(|problem| problem.code)
}

#[tokio::test]
async fn over_the_venues_network_popwatch_only_shows() {
    let (guard, pass) = guard("lan", true);
    let shows = asks(&guard, Method::GET, "/v1/popups", &pass).await;
    assert_eq!(shows, Ok(()));
    for (method, path) in [
        (Method::POST, "/v1/popups/fri/decisions"),
        (Method::POST, "/v1/records"),
        (Method::GET, "/v1/audit"),
    ] {
        let answer = asks(&guard, method, path, &pass).await;
        assert_eq!(answer, Err(Code::PlainRefused), "{path}");
    }
    let stranger = asks(&guard, Method::GET, "/v1/popups", "pw1.none").await;
    assert_eq!(stranger, Err(Code::PassInvalid));
}
