use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn server() -> Identity {
    Identity::of(&[1; 32])
}

/// A listener of `identity` that receives one connection, says a word to it and answers who it was.
async fn listener(
    identity: &Identity,
    plain: bool,
) -> (SocketAddr, tokio::task::JoinHandle<Option<Line>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let reception = Reception::new(identity, plain);
    let task = tokio::spawn(async move {
        let (stream, peer) = listener.accept().await.unwrap();
        match reception.receive(stream, peer).await {
            Received::Open(mut stream, line) => {
                stream.write_all(b"hello").await.unwrap();
                stream.shutdown().await.unwrap();
                Some(line)
            }
            Received::Exposed(_) | Received::Gone => None,
        }
    });
    (address, task)
}

async fn call(
    address: SocketAddr,
    expect: Expect,
    identity: Option<&Identity>,
) -> io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    let mut stream = connect(stream, expect, identity).await?;
    let mut said = String::new();
    stream.read_to_string(&mut said).await?;
    Ok(said)
}

#[tokio::test]
async fn both_sides_know_each_other_by_their_keys() {
    let (server, rig) = (server(), Identity::of(&[2; 32]));
    let (address, task) = listener(&server, false).await;
    let said = call(address, Expect::Pinned(server.key()), Some(&rig)).await;
    assert_eq!(said.unwrap(), "hello");
    let line = task.await.unwrap().unwrap();
    assert_eq!((line.key, line.is_encrypted), (Some(rig.key()), true));
}

#[tokio::test]
async fn a_caller_without_a_key_is_nobody_but_may_ask() {
    let server = server();
    let (address, task) = listener(&server, false).await;
    call(address, Expect::Pinned(server.key()), None)
        .await
        .unwrap();
    assert_eq!(task.await.unwrap().unwrap().key, None);
}

#[tokio::test]
async fn another_key_than_the_pinned_one_is_refused_before_a_byte_is_said() {
    let (address, task) = listener(&server(), false).await;
    let pin = Expect::Pinned(Identity::of(&[9; 32]).key());
    let fault = call(address, pin, None).await.unwrap_err();
    assert!(is_stranger(&fault), "{fault:?}");
    assert_eq!(task.await.unwrap(), None);
    let refused = io::Error::from(io::ErrorKind::ConnectionReset);
    assert!(!is_stranger(&refused));
}

#[tokio::test]
async fn an_expired_certificate_of_the_pinned_key_is_as_good_as_any() {
    let past = ("200101000000Z", "20210101000000Z");
    let ahead = ("490101000000Z", "20500101000000Z");
    for validity in [past, ahead] {
        let server = Identity::dated(&[1; 32], validity);
        let rig = Identity::dated(&[2; 32], validity);
        let (address, task) = listener(&server, false).await;
        let said = call(address, Expect::Pinned(server.key()), Some(&rig)).await;
        assert_eq!(said.unwrap(), "hello");
        assert_eq!(task.await.unwrap().unwrap().key, Some(rig.key()));
    }
}

#[tokio::test]
async fn a_certificate_with_another_key_in_it_proves_nothing() {
    // The envelope of the pinned key, and the secret of another: anybody can copy a certificate.
    let (pinned, thief) = (server(), Identity::of(&[6; 32]));
    let chain = vec![CertificateDer::from(pinned.certificate().to_vec())];
    let (_, PrivateKeyDer::Pkcs8(key)) = credentials(&thief) else {
        panic!("an identity's secret is in PKCS #8")
    };
    let key = ring::sign::any_eddsa_type(&key).unwrap();
    let forged = rustls::sign::CertifiedKey::new(chain, key);
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(forged)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        TlsAcceptor::from(Arc::new(config))
            .accept(stream)
            .await
            .is_ok()
    });
    let pin = Expect::Pinned(pinned.key());
    assert!(call(address, pin, None).await.is_err());
    assert!(!task.await.unwrap());
}

#[tokio::test]
async fn a_stranger_that_was_met_stays_the_same() {
    let met = Arc::new(OnceLock::new());
    let (address, task) = listener(&server(), false).await;
    call(address, Expect::Met(Arc::clone(&met)), None)
        .await
        .unwrap();
    assert!(task.await.unwrap().is_some());
    assert_eq!(met.get(), Some(&server().key()));
    let (address, task) = listener(&Identity::of(&[3; 32]), false).await;
    let fault = call(address, Expect::Met(met), None).await.unwrap_err();
    assert!(is_stranger(&fault));
    assert_eq!(task.await.unwrap(), None);
}

#[tokio::test]
async fn nothing_older_than_tls_13_is_spoken() {
    let (address, task) = listener(&server(), false).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A ClientHello of TLS 1.2 as it could be sent in 2016: two suites, Ed25519, X25519, no 1.3.
    let extensions: &[u8] =
        b"\x00\x0a\x00\x04\x00\x02\x00\x1d\x00\x0d\x00\x06\x00\x04\x08\x07\x04\x03";
    let suites = b"\x00\x04\xc0\x2b\xc0\x2f";
    let mut hello = b"\x03\x03".to_vec();
    hello.extend_from_slice(&[5; 32]);
    hello.push(0);
    hello.extend_from_slice(suites);
    hello.extend_from_slice(b"\x01\x00");
    hello.extend_from_slice(&[0, u8::try_from(extensions.len()).unwrap()]);
    hello.extend_from_slice(extensions);
    let mut record = vec![
        0x16,
        3,
        1,
        0,
        u8::try_from(hello.len() + 4).unwrap(),
        1,
        0,
        0,
    ];
    record.push(u8::try_from(hello.len()).unwrap());
    record.extend_from_slice(&hello);
    stream.write_all(&record).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"\x15\x03\x03\x00\x02\x02\x46", "protocol_version");
    assert_eq!(task.await.unwrap(), None);
}

#[tokio::test]
async fn plain_http_is_for_this_machine() {
    let (address, task) = listener(&server(), false).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "hello");
    let line = task.await.unwrap().unwrap();
    assert_eq!((line.key, line.is_encrypted), (None, false));
}

#[tokio::test]
async fn plain_http_from_elsewhere_is_told_apart() {
    let elsewhere: SocketAddr = "192.0.2.7:40000".parse().unwrap();
    for plain in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut caller = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        caller.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let reception = Reception::new(&server(), plain);
        match reception.receive(stream, elsewhere).await {
            Received::Open(..) => assert!(plain),
            Received::Exposed(_) => assert!(!plain),
            Received::Gone => panic!("it is still there"),
        }
    }
}
