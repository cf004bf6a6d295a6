//! A small HTTP/1.1 client: what peers and commands call with. Addresses are `http://host:port`, or
//! `https://KEY@host:port` with the key that must answer there. A client for services of others takes
//! `https://host` instead, with a certificate that this system trusts.
//!
//! What always holds: every call ends, by an answer or by a named fault, within a connect and an
//! answer timeout; no answer is read past its bound; redirects are not followed, because a till
//! talks only to whom it was told to.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read as _};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::Frame;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Uri};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use popwatch_core::limits;
use popwatch_core::membership::IdKey;
use tokio::time::timeout;
use tower_service::Service;

use crate::identity::Identity;
use crate::tls::{self, Expect, Stream, Trusted};

/// How long an idle connection is kept for the next call.
const IDLE: Duration = Duration::from_secs(30);

/// Bytes of a file that are in memory at once.
const PIECE_BYTES: usize = 256 << 10;

/// A body in memory, or a file that is read as it is sent.
type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A client with its pool of connections. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    pool: Pool<Connector, Body>,
    answer_wait: Duration,
    /// An address with TLS may lack its key.
    keyless: bool,
    /// What each call shows of who calls; never printed.
    shown: Vec<(HeaderName, HeaderValue)>,
}

/// What came back, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its whole body, at most [`limits::ANSWER_BYTES_MAX`].
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientFault {
    /// The address has none of the two forms.
    #[error("{url} is no address of the form http://host:port or https://{}host:port", if *keyless { "" } else { "KEY@" })]
    Address {
        /// Whether an address with TLS may lack its key.
        keyless: bool,
        /// The address as given.
        url: String,
    },
    /// A header cannot be sent.
    #[error("header {name} cannot be sent")]
    Header {
        /// Its name.
        name: String,
    },
    /// No connection could be made: the peer never saw the call.
    #[error("nothing answers at {authority}")]
    Connect {
        /// Host and port.
        authority: String,
        /// What the system says.
        source: hyper_util::client::legacy::Error,
    },
    /// Another key answered than the address says: the peer never saw the call.
    #[error("PW0713: another key answers at {authority} than its address says")]
    Stranger {
        /// Host and port.
        authority: String,
    },
    /// The connection broke: the peer may have acted on the call.
    #[error("the connection to {authority} broke")]
    Broken {
        /// Host and port.
        authority: String,
        /// What the connection says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No whole answer in time: the peer may have acted on the call.
    #[error("no answer from {authority} within {wait_ms} ms")]
    Slow {
        /// Host and port.
        authority: String,
        /// How long was waited.
        wait_ms: u64,
    },
    /// The answer's body passes the bound.
    #[error("the answer from {authority} has more than {max} bytes")]
    TooLarge {
        /// Host and port.
        authority: String,
        /// The bound.
        max: usize,
    },
}

impl ClientFault {
    /// Whether the same call may succeed later: the network failed, not the call.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Stranger { .. }
            | Self::Broken { .. }
            | Self::Slow { .. } => true,
            Self::Address { .. } | Self::Header { .. } | Self::TooLarge { .. } => false,
        }
    }
}

impl Answer {
    /// A header's text, where there is one and it is ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How long the peer asks to wait, where it says so in seconds.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.header(RETRY_AFTER.as_str())?;
        text.trim().parse().ok().map(Duration::from_secs)
    }

    /// Whether the status is 2xx.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// A client with the waits of [`limits`]. Must be called inside a tokio runtime.
    #[must_use]
    pub fn new() -> Self {
        Self::with_waits(
            Duration::from_millis(limits::PEER_CONNECT_MS),
            Duration::from_millis(limits::PEER_ANSWER_MS),
        )
    }

    /// A client with its own waits: to connect, and from sending to the last byte of the answer.
    #[must_use]
    pub fn with_waits(connect_wait: Duration, answer_wait: Duration) -> Self {
        Self::with(Connector::new(connect_wait), answer_wait)
    }

    /// A client that shows this identity to peers that speak TLS.
    #[must_use]
    pub fn of(identity: Identity) -> Self {
        let mut connector = Connector::new(Duration::from_millis(limits::PEER_CONNECT_MS));
        connector.identity = Some(identity);
        Self::with(connector, Duration::from_millis(limits::PEER_ANSWER_MS))
    }

    /// A client for a first meeting: `https://host:port` is taken without a key, and `met` then holds
    /// the key that answered, the only one that may answer from then on. What it says is worth nothing
    /// until something else proves that key.
    #[must_use]
    pub fn meeting(identity: Identity, met: Arc<OnceLock<IdKey>>) -> Self {
        let mut connector = Connector::new(Duration::from_millis(limits::PEER_CONNECT_MS));
        connector.identity = Some(identity);
        connector.met = Some(met);
        Self::with(connector, Duration::from_millis(limits::PEER_ANSWER_MS))
    }

    /// A client for services of others, with its own waits: whoever answers at `https://host` must show
    /// a certificate for that name which this system trusts. Reads the system's certificates; blocks.
    #[must_use]
    pub fn public(connect_wait: Duration, answer_wait: Duration) -> Self {
        let mut connector = Connector::new(connect_wait);
        connector.trusted = Some(Trusted::of_system());
        Self::with(connector, answer_wait)
    }

    /// Host and port of an address that [`Self::public`] can call.
    pub fn place_of(url: &str) -> Result<String, ClientFault> {
        parse_address(url, true).map(|(_, place)| place)
    }

    fn with(connector: Connector, answer_wait: Duration) -> Self {
        let keyless = connector.met.is_some() || connector.trusted.is_some();
        let pool = Pool::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self {
            pool,
            answer_wait,
            keyless,
            shown: Vec::new(),
        }
    }

    /// Shows this pass with each call; none, and nothing is shown. A text that cannot stand in a header
    /// is no pass.
    #[must_use]
    pub fn with_pass(mut self, pass: Option<&str>) -> Self {
        self.show(AUTHORIZATION, pass.map(|pass| format!("Bearer {pass}")));
        self
    }

    /// Shows this code of the second factor with each call; none, and nothing is shown.
    #[must_use]
    pub fn with_code(mut self, code: Option<&str>) -> Self {
        let name = HeaderName::from_static(crate::access::CODE);
        self.show(name, code.map(str::to_owned));
        self
    }

    fn show(&mut self, name: HeaderName, text: Option<String>) {
        if let Some(mut value) = text.and_then(|text| HeaderValue::from_str(&text).ok()) {
            value.set_sensitive(true);
            self.shown.push((name, value));
        }
    }

    /// Asks for `url`.
    pub async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Answer, ClientFault> {
        self.call(Method::GET, url, headers, whole(Bytes::new()))
            .await
    }

    /// Posts `body` to `url`.
    pub async fn post(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, ClientFault> {
        self.call(Method::POST, url, headers, whole(body.into()))
            .await
    }

    /// Posts a file's first `length` bytes from where it stands, a piece at a time; `sent` hears how
    /// many bytes went out so far. A file that ends before breaks the call.
    pub async fn post_file(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        file: File,
        length: u64,
        sent: impl FnMut(u64) + Send + 'static,
    ) -> Result<Answer, ClientFault> {
        let length_text = length.to_string();
        let headers = [headers, &[("content-length", &*length_text)]].concat();
        self.call(Method::POST, url, &headers, pieces(file, length, sent))
            .await
    }

    async fn call(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Result<Answer, ClientFault> {
        let (uri, authority) = parse_address(url, self.keyless)?;
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        for (name, value) in headers {
            let fault = || ClientFault::Header {
                name: (*name).to_owned(),
            };
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| fault())?;
            let value = HeaderValue::from_str(value).map_err(|_| fault())?;
            request.headers_mut().append(key, value);
        }
        for (name, value) in &self.shown {
            request.headers_mut().append(name, value.clone());
        }
        match timeout(self.answer_wait, self.exchange(request, &authority)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ClientFault::Slow {
                authority,
                wait_ms: u64::try_from(self.answer_wait.as_millis()).unwrap_or(u64::MAX),
            }),
        }
    }

    async fn exchange(
        &self,
        request: Request<Body>,
        authority: &str,
    ) -> Result<Answer, ClientFault> {
        let authority = authority.to_owned();
        let response = match self.pool.request(request).await {
            Ok(response) => response,
            Err(source) if source.is_connect() && is_stranger(&source) => {
                return Err(ClientFault::Stranger { authority });
            }
            Err(source) if source.is_connect() => {
                return Err(ClientFault::Connect { authority, source });
            }
            Err(source) => {
                let source = Box::new(source);
                return Err(ClientFault::Broken { authority, source });
            }
        };
        let (head, body) = response.into_parts();
        let max = limits::ANSWER_BYTES_MAX;
        match Limited::new(body, max).collect().await {
            Ok(body) => Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body: body.to_bytes(),
            }),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(ClientFault::TooLarge { authority, max })
            }
            Err(source) => Err(ClientFault::Broken { authority, source }),
        }
    }
}

fn whole(body: Bytes) -> Body {
    let full = Full::new(body).map_err(|never| match never {});
    full.boxed_unsync()
}

fn pieces(file: File, length: u64, sent: impl FnMut(u64) + Send + 'static) -> Body {
    let begin = (file, 0u64, sent);
    let frames = stream::try_unfold(begin, move |(file, done, mut sent)| async move {
        let left = length - done;
        if left == 0 {
            return Ok::<_, io::Error>(None);
        }
        let read = tokio::task::spawn_blocking(move || piece(file, left)).await;
        let (file, bytes) = read.map_err(io::Error::other)??;
        let done = done + bytes.len() as u64;
        sent(done);
        Ok(Some((Frame::data(bytes), (file, done, sent))))
    });
    StreamBody::new(frames).boxed_unsync()
}

/// The next piece of a file that has so many bytes left.
fn piece(mut file: File, left: u64) -> io::Result<(File, Bytes)> {
    let most = usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
    let mut bytes = vec![0; most];
    let read = file.read(&mut bytes)?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes.truncate(read);
    Ok((file, bytes.into()))
}

/// Splits an address, refusing what this client does not speak; the second part is host and port.
fn parse_address(url: &str, keyless: bool) -> Result<(Uri, String), ClientFault> {
    let fault = || ClientFault::Address {
        keyless,
        url: url.to_owned(),
    };
    let uri: Uri = url.parse().map_err(|_| fault())?;
    let authority = uri.authority().ok_or_else(fault)?;
    let (key, place) = match authority.as_str().rsplit_once('@') {
        Some((key, place)) => (Some(IdKey::parse(key).ok_or_else(fault)?), place),
        None => (None, authority.as_str()),
    };
    let spoken = match uri.scheme_str() {
        Some("http") => key.is_none(),
        Some("https") => key.is_some() || keyless,
        Some(_) | None => false,
    };
    if !spoken || authority.host().is_empty() {
        return Err(fault());
    }
    let place = place.to_owned();
    Ok((uri, place))
}

/// Makes connections: plain ones, and those that prove the key of their address.
#[derive(Debug, Clone)]
struct Connector {
    http: HttpConnector,
    identity: Option<Identity>,
    met: Option<Arc<OnceLock<IdKey>>>,
    trusted: Option<Trusted>,
}

/// Another key answered than the pinned one.
#[derive(Debug, thiserror::Error)]
#[error("another key answered than the pinned one")]
struct Stranger;

fn is_stranger(fault: &(dyn Error + 'static)) -> bool {
    fault.is::<Stranger>() || fault.source().is_some_and(is_stranger)
}

impl Connector {
    fn new(connect_wait: Duration) -> Self {
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(connect_wait));
        http.set_nodelay(true);
        http.enforce_http(false);
        Self {
            http,
            identity: None,
            met: None,
            trusted: None,
        }
    }

    /// Who must answer at an address; `None` where nobody proves anything.
    fn expected(&self, uri: &Uri) -> Option<Expect> {
        if uri.scheme_str() != Some("https") {
            return None;
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let key = authority
            .rsplit_once('@')
            .and_then(|(key, _)| IdKey::parse(key));
        // An address without a key came past `parse_address` only where a stranger may be met, or where
        // the system's certificates say who answers.
        Some(match (key, &self.trusted) {
            (Some(key), _) => Expect::Pinned(key),
            (None, Some(trusted)) => Expect::Named(
                trusted.clone(),
                uri.host().unwrap_or("").trim_matches(['[', ']']).into(),
            ),
            (None, None) => Expect::Met(self.met.clone().unwrap_or_default()),
        })
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.http.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let expect = self.expected(&uri);
        let identity = self.identity.clone();
        let connecting = self.http.call(uri);
        Box::pin(async move {
            let stream = connecting.await?.into_inner();
            let Some(expect) = expect else {
                return Ok(TokioIo::new(Stream::Plain(stream)));
            };
            match tls::connect(stream, expect, identity.as_ref()).await {
                Ok(stream) => Ok(TokioIo::new(stream)),
                Err(fault) if tls::is_stranger(&fault) => Err(Stranger.into()),
                Err(fault) => Err(fault.into()),
            }
        })
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A listener that answers its first call with these bytes, then closes.
    async fn answer(bytes: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/x", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            assert!(read > 0);
            stream.write_all(&bytes).await.unwrap();
        });
        url
    }

    #[tokio::test]
    async fn an_answer_comes_back_whole_whatever_its_status() {
        let url = answer(
            b"HTTP/1.1 503 Later\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy".to_vec(),
        )
        .await;
        let answer = Client::new()
            .post(&url, &[("x-a", "b")], "hello")
            .await
            .unwrap();
        assert_eq!((answer.status, &answer.body[..]), (503, &b"busy"[..]));
        assert_eq!(answer.retry_after(), Some(Duration::from_secs(7)));
        assert!(!answer.is_success());
    }

    #[tokio::test]
    async fn a_body_past_the_bound_is_refused() {
        let length = limits::ANSWER_BYTES_MAX + 1;
        let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes();
        bytes.resize(bytes.len() + length, b'x');
        let url = answer(bytes).await;
        let fault = Client::new().get(&url, &[]).await.unwrap_err();
        assert!(matches!(fault, ClientFault::TooLarge { .. }), "{fault:?}");
    }

    #[tokio::test]
    async fn silence_and_absence_are_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("http://{address}/");
        let wait = Duration::from_millis(50);
        let client = Client::with_waits(wait, wait);
        let fault = client.get(&url, &[]).await.unwrap_err();
        assert_eq!(
            fault.to_string(),
            format!("no answer from {address} within 50 ms")
        );
        assert!(fault.is_passing());
        drop(listener);
        let fault = Client::new().get(&url, &[]).await.unwrap_err();
        assert_eq!(fault.to_string(), format!("nothing answers at {address}"));
        assert!(fault.is_passing());
    }

    #[tokio::test]
    async fn only_plain_addresses_and_headers_are_taken() {
        let client = Client::new();
        for url in [
            "",
            "edge:8710",
            "https://a/",
            "https://1234@a/",
            "http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@a/",
            "http://",
            "ftp://a/",
            "http://u:p@a/",
        ] {
            let fault = client.get(url, &[]).await.unwrap_err();
            assert!(matches!(fault, ClientFault::Address { .. }), "{url}");
            assert!(!fault.is_passing());
        }
        let fault = client
            .get("http://127.0.0.1:1/", &[("x", "a\nb")])
            .await
            .unwrap_err();
        assert!(matches!(fault, ClientFault::Header { .. }));
    }
}
