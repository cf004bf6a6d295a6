//! TLS 1.3 between processes that know each other by their keys.
//!
//! ```text
//! caller                                   listener
//! https://KEY@host:port  ── ClientHello ─► first byte 0x16: TLS;  a letter: plain HTTP, loopback only
//!                        ◄─ certificate ── carries the listener's key; must be KEY
//!                        ── certificate ─► carries the caller's key, if it has one; who that is the
//!                                          register says
//! ```
//!
//! A certificate here is an envelope for a key: self-signed, without a name that means anything. What
//! always holds: a peer is accepted for its pinned key alone, never for a name, a date or an issuer, so
//! nothing expires while a lid is closed; each connection proves both keys anew, for no session is
//! resumed; nothing older than TLS 1.3 is spoken.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use popwatch_core::limits::REQUEST_HEAD_MS_MAX;
use popwatch_core::membership::IdKey;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    ServerConfig, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::identity::Identity;

/// First byte of a TLS connection; no HTTP method begins with it.
const HANDSHAKE: u8 = 0x16;
/// What stands before an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410).
const SPKI: [u8; 12] = *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// What stands before an Ed25519 secret in PKCS #8 (RFC 8410).
const PKCS8: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
/// Ed25519 as an algorithm.
const ED25519: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70";
/// The name `CN=popwatch`.
const NAME: &[u8] = b"\x30\x13\x31\x11\x30\x0f\x06\x03\x55\x04\x03\x0c\x08popwatch";

/// From when to when a certificate says it is valid: ASN.1 UTCTime and GeneralizedTime.
pub(crate) type Validity = (&'static str, &'static str);
/// RFC 5280's way to say that nothing ends.
pub(crate) const FOR_EVER: Validity = ("700101000000Z", "99991231235959Z");

/// A self-signed certificate of a key, DER (RFC 5280, RFC 8410).
pub(crate) fn certificate(key: &SigningKey, (from, to): Validity) -> Vec<u8> {
    let public = key.verifying_key().to_bytes();
    // Positive and never zero; different keys have different numbers.
    let mut serial = [0x01; 9];
    serial[1..].copy_from_slice(&public[..8]);
    let validity = [tagged(0x17, from.as_bytes()), tagged(0x18, to.as_bytes())].concat();
    let fields = [
        &b"\xa0\x03\x02\x01\x02"[..],
        &tagged(0x02, &serial),
        ED25519,
        NAME,
        &tagged(0x30, &validity),
        NAME,
        &SPKI,
        &public,
    ];
    let body = tagged(0x30, &fields.concat());
    let signature = key.sign(&body).to_bytes();
    let signature = tagged(0x03, &[&[0][..], &signature].concat());
    tagged(0x30, &[&body[..], ED25519, &signature].concat())
}

/// A value with its ASN.1 tag and length, which is below 64 KiB.
fn tagged(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("a certificate is small");
    let [high, low] = length.to_be_bytes();
    let mut out = match (high, low) {
        (0, 0..0x80) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        (_, _) => vec![tag, 0x82, high, low],
    };
    out.extend_from_slice(value);
    out
}

/// The key that a certificate carries, if it is an Ed25519 key.
fn key_of(certificate: &CertificateDer<'_>) -> Result<IdKey, Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    let info = parsed.subject_public_key_info();
    let key = info.strip_prefix(&SPKI).and_then(|key| key.try_into().ok());
    key.map(IdKey).ok_or_else(stranger)
}

/// Nobody who is known here.
fn stranger() -> Error {
    CertificateError::ApplicationVerificationFailure.into()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The signature by which a peer proves that it has the key of its certificate.
fn proves(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    if signed.scheme != SignatureScheme::ED25519 {
        return Err(stranger());
    }
    let known = ring::default_provider().signature_verification_algorithms;
    verify_tls13_signature(message, certificate, signed, &known)
}

/// Whom a caller expects to answer.
#[derive(Debug, Clone)]
pub(crate) enum Expect {
    /// The holder of this key.
    Pinned(IdKey),
    /// Whoever it is, and from then on the same: for an enrolment, whose code proves the key.
    Met(Arc<OnceLock<IdKey>>),
    /// A service of others under this name, vouched for by whom this system trusts.
    Named(Trusted, String),
}

/// The certificate authorities that this system trusts.
#[derive(Debug, Clone)]
pub(crate) struct Trusted(Arc<ClientConfig>);

impl Trusted {
    /// Those of the operating system, or of `SSL_CERT_FILE` and `SSL_CERT_DIR`. What cannot be read is
    /// left out; with none, nobody is trusted. Blocks.
    pub(crate) fn of_system() -> Self {
        let found = rustls_native_certs::load_native_certs();
        for fault in &found.errors {
            tracing::warn!(%fault, "a certificate that this system trusts cannot be read");
        }
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            tracing::warn!(
                "this system trusts no certificate authority; install ca-certificates to reach services over https"
            );
        }
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider speaks TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self(Arc::new(config))
    }
}

impl ServerCertVerifier for Expect {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = key_of(end_entity)?;
        let expected = match self {
            Self::Pinned(pin) => pin,
            Self::Met(met) => met.get_or_init(|| key),
            // Its connections are made with rustls' own verifier.
            Self::Named(..) => return Err(stranger()),
        };
        match key == *expected {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(stranger()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(stranger())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        proves(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// Callers may show a key. Whether it may do what it asks is for the handler and the register.
#[derive(Debug)]
struct AnyKey;

impl ClientCertVerifier for AnyKey {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        key_of(end_entity).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(stranger())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        proves(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// A connection, encrypted or not.
#[derive(Debug)]
pub(crate) enum Stream {
    /// As it comes from the network.
    Plain(TcpStream),
    /// Inside TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// The socket below.
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

/// Who is on the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its address.
    pub(crate) peer: SocketAddr,
    /// The key it proved to hold.
    pub(crate) key: Option<IdKey>,
    /// Whether nobody between can read it.
    pub(crate) is_encrypted: bool,
}

/// How a listener receives connections.
#[derive(Debug, Clone)]
pub(crate) struct Reception {
    tls: Arc<ServerConfig>,
    /// Plain HTTP is spoken with everybody, not with this machine alone.
    plain: bool,
}

/// What came of a connection.
pub(crate) enum Received {
    /// It may ask.
    Open(Stream, Line),
    /// It speaks plain HTTP from elsewhere: to be told so.
    Exposed(TcpStream),
    /// It broke, was too slow or is no HTTP.
    Gone,
}

impl Reception {
    /// With this identity. `plain` takes unencrypted requests from other machines too.
    pub(crate) fn new(identity: &Identity, plain: bool) -> Self {
        let (chain, key) = credentials(identity);
        let mut tls = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the provider speaks TLS 1.3")
            .with_client_cert_verifier(Arc::new(AnyKey))
            .with_single_cert(chain, key)
            .expect("an identity's certificate is of its key");
        tls.send_tls13_tickets = 0;
        Self {
            tls: Arc::new(tls),
            plain,
        }
    }

    /// Whether other machines may speak plain HTTP too.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    /// Finds out what a new connection speaks and, in bounded time, agrees on keys with it.
    pub(crate) async fn receive(&self, stream: TcpStream, peer: SocketAddr) -> Received {
        let limit = Duration::from_millis(REQUEST_HEAD_MS_MAX);
        match timeout(limit, self.greet(stream, peer)).await {
            Ok(received) => received,
            Err(_) => Received::Gone,
        }
    }

    async fn greet(&self, stream: TcpStream, peer: SocketAddr) -> Received {
        let mut first = [0];
        match stream.peek(&mut first).await {
            Ok(1) => {}
            Ok(_) | Err(_) => return Received::Gone,
        }
        if first != [HANDSHAKE] {
            let line = Line {
                peer,
                key: None,
                is_encrypted: false,
            };
            return match self.plain || peer.ip().to_canonical().is_loopback() {
                true => Received::Open(Stream::Plain(stream), line),
                false => Received::Exposed(stream),
            };
        }
        let accepted = TlsAcceptor::from(Arc::clone(&self.tls)).accept(stream);
        let stream = match accepted.await {
            Ok(stream) => stream,
            Err(fault) => {
                tracing::debug!(%fault, "a TLS connection was not agreed on");
                return Received::Gone;
            }
        };
        let shown = stream.get_ref().1.peer_certificates();
        let key = shown.and_then(|shown| key_of(shown.first()?).ok());
        let line = Line {
            peer,
            key,
            is_encrypted: true,
        };
        Received::Open(Stream::Tls(Box::new(stream.into())), line)
    }
}

fn credentials(identity: &Identity) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let certificate = CertificateDer::from(identity.certificate().to_vec());
    let secret = [&PKCS8[..], &identity.secret()].concat();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(secret));
    (vec![certificate], key)
}

/// Agrees on keys with whom a caller reached. A peer that is not the expected one is told from a
/// broken connection by [`is_stranger`].
pub(crate) async fn connect(
    stream: TcpStream,
    expect: Expect,
    identity: Option<&Identity>,
) -> io::Result<Stream> {
    if let Expect::Named(Trusted(config), name) = expect {
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        return Ok(Stream::Tls(Box::new(stream.into())));
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider speaks TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(expect));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = credentials(identity);
            builder
                .with_client_auth_cert(chain, key)
                .expect("an identity's certificate is of its key")
        }
    };
    config.enable_sni = false;
    config.resumption = rustls::client::Resumption::disabled();
    let name = ServerName::try_from("popwatch").expect("letters are a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream);
    Ok(Stream::Tls(Box::new(stream.await?.into())))
}

/// Whether a connection failed because another key answered than the pinned one.
pub(crate) fn is_stranger(fault: &io::Error) -> bool {
    let inner = fault.get_ref();
    let tls = inner.and_then(|inner| inner.downcast_ref::<Error>());
    tls.is_some_and(|tls| *tls == stranger())
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests;
