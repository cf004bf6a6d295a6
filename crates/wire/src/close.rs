//! Certificates of a close as files: signed, read and verified with the public key alone.
//!
//! ```text
//! {"note": "<text>\n— <key name> <base64 of key id and signature>\n", "close": {…}}
//! ```
//!
//! The note is a C2SP signed note with Ed25519. What always holds: [`verify`] says yes only to
//! certificates whose every field is the signed one, whose signer is the given key and of which none is
//! missing between the first and the last; else it names the field that is wrong.

use std::collections::BTreeMap;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use popwatch_core::code::Code;
use popwatch_core::ledger::close::{self, BASE64, Certificate, Value, base64};
use popwatch_core::ledger::hex;
use popwatch_core::limits::CERTIFICATE_BYTES_MAX;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};

/// What an Ed25519 key is marked with in a note.
const ED25519: u8 = 1;
/// Stands before a signature.
const DASH: &str = "\u{2014} ";

/// Who signs.
pub struct CloseKey {
    name: String,
    key: SigningKey,
}

/// Who signed, as everybody may know it: `name+key id+base64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: VerifyingKey,
}

/// A certificate that is what its signer signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The certificate.
    pub close: Value,
    /// SHA-256 of its canonical bytes.
    pub hash: [u8; 32],
}

/// Why a certificate is not what was signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct CloseFault {
    /// The field that is wrong: one of the certificate, `note`, `close`, `signature` or `key`.
    pub field: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl CloseFault {
    fn new(field: impl Into<String>, problem: &'static str) -> Self {
        Self {
            field: field.into(),
            problem,
        }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::CertificateWrong
    }
}

impl std::fmt::Debug for CloseKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CloseKey({})", self.name)
    }
}

impl CloseKey {
    /// The key of `org` from 32 secret bytes.
    #[must_use]
    pub fn new(org: &str, secret: &[u8; 32]) -> Self {
        Self {
            name: format!("{org}.close.popwatch"),
            key: SigningKey::from_bytes(secret),
        }
    }

    /// What others verify with.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey {
            name: self.name.clone(),
            key: self.key.verifying_key(),
        }
    }

    /// The file of a certificate.
    #[must_use]
    pub fn sign(&self, certificate: &Certificate) -> Vec<u8> {
        let text = certificate.note();
        let mut stamp = self.public().id().to_vec();
        stamp.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        let note = format!("{text}\n{DASH}{} {}\n", self.name, base64(&stamp));
        let file = json!({"note": note, "close": to_json(&certificate.value())});
        serde_json::to_vec(&file).expect("texts and numbers are JSON")
    }
}

impl PublicKey {
    fn id(&self) -> [u8; 4] {
        let hash = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// Reads what Display wrote; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().splitn(3, '+');
        let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
        let bytes = from_base64(key)?;
        let (mark, key) = bytes.split_first()?;
        let key = VerifyingKey::from_bytes(key.try_into().ok()?).ok()?;
        let of = Self {
            name: name.to_owned(),
            key,
        };
        (*mark == ED25519 && hex(&of.id()) == id).then_some(of)
    }
}

/// `name+key id+base64`.
impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, hex(&self.id()), base64(&bytes))
    }
}

/// Verifies certificates, the oldest first, with the key alone. One file is verified by itself; of
/// several each must continue the one before it, and the first must be certificate 1.
pub fn verify(files: &[Vec<u8>], key: &PublicKey) -> Result<Vec<Verified>, CloseFault> {
    let mut out: Vec<Verified> = Vec::new();
    for file in files {
        let found = verify_one(file, key)?;
        if files.len() > 1
            && let Some(field) = close::breaks_chain(out.last().map(|at| &at.close), &found.close)
        {
            let problem = "does not continue the certificate before it; give all from 1, in order";
            return Err(CloseFault::new(field, problem));
        }
        out.push(found);
    }
    Ok(out)
}

fn verify_one(file: &[u8], key: &PublicKey) -> Result<Verified, CloseFault> {
    let (note, held) = read(file)?;
    let (text, signatures) = note
        .split_once("\n\n")
        .ok_or_else(|| CloseFault::new("note", "is not a signed note"))?;
    let text = format!("{text}\n");
    let ours = signatures
        .lines()
        .filter_map(|line| line.strip_prefix(DASH)?.split_once(' '))
        .filter(|(name, _)| *name == key.name)
        .filter_map(|(_, stamp)| from_base64(stamp))
        .find_map(|stamp| Some(stamp.strip_prefix(&key.id())?.to_vec()))
        .ok_or_else(|| CloseFault::new("key", "no signature of this key is on the note"))?;
    let signature = Signature::from_slice(&ours)
        .map_err(|_| CloseFault::new("signature", "is not 64 bytes long"))?;
    // The digest is compared first: of a field altered in the certificate and not in the note that
    // field can be named, and a note altered as well fails by its signature.
    let altered = close::altered(&text, &held);
    if key.key.verify_strict(text.as_bytes(), &signature).is_err() {
        let field = altered.unwrap_or_else(|| "note".to_owned());
        return Err(CloseFault::new(field, "is not what the key signed"));
    }
    match altered {
        Some(field) => Err(CloseFault::new(field, "is not what was signed")),
        None => Ok(Verified {
            hash: held.digest(),
            close: held,
        }),
    }
}

/// The note and the certificate of a file, unverified.
pub fn read(file: &[u8]) -> Result<(String, Value), CloseFault> {
    if file.len() > CERTIFICATE_BYTES_MAX {
        return Err(CloseFault::new(
            "close",
            "is larger than a certificate can be",
        ));
    }
    let mut whole: Map<String, Json> = serde_json::from_slice(file)
        .map_err(|_| CloseFault::new("close", "is not a JSON object with note and close"))?;
    let Some(Json::String(note)) = whole.remove("note") else {
        return Err(CloseFault::new("note", "is missing"));
    };
    let held = whole
        .remove("close")
        .and_then(from_json)
        .ok_or_else(|| CloseFault::new("close", "is missing or has a number that is no integer"))?;
    Ok((note, held))
}

/// A certificate's value as JSON.
#[must_use]
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(yes) => json!(yes),
        Value::Number(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(fields) => Json::Object(
            fields
                .iter()
                .map(|(name, value)| (name.clone(), to_json(value)))
                .collect(),
        ),
    }
}

/// JSON as a certificate's value; `None` where a number is no integer of 64 bits.
#[must_use]
pub fn from_json(json: Json) -> Option<Value> {
    Some(match json {
        Json::Null => Value::Null,
        Json::Bool(yes) => Value::Bool(yes),
        Json::Number(number) => Value::Number(number.as_i64()?),
        Json::String(text) => Value::Text(text),
        Json::Array(items) => Value::List(items.into_iter().map(from_json).collect::<Option<_>>()?),
        Json::Object(fields) => Value::Map(
            fields
                .into_iter()
                .map(|(name, value)| Some((name, from_json(value)?)))
                .collect::<Option<BTreeMap<_, _>>>()?,
        ),
    })
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let body = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - body.len() > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut number, mut bits) = (0u32, 0u32);
    for byte in body.bytes() {
        let six = BASE64.iter().position(|digit| *digit == byte)?;
        number = (number << 6 | u32::try_from(six).ok()?) & 0xff_ffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(number >> bits & 0xff).ok()?);
        }
    }
    // One form only: the bits that no byte takes are zero.
    (number & ((1 << bits) - 1) == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use popwatch_core::id::PopupId;
    use popwatch_core::ledger::close::{Balances, Scope};

    fn certificate(n: u32, prev: Option<[u8; 32]>) -> Certificate {
        Certificate {
            org: "local".into(),
            popup: PopupId::new("fri").unwrap(),
            n,
            scope: Scope::Settled,
            prev,
            as_of_ms: 5,
            watermark: Vec::new(),
            facts: 0,
            facts_root: [0; 32],
            books_root: [0; 32],
            balances: Balances::from([("GBP".into(), [("1310".into(), 700)].into())]),
            stock: Balances::new(),
            tokens: Balances::new(),
            creators: Balances::new(),
            pending: popwatch_core::ledger::close::Pending::default(),
            breaks: Vec::new(),
            suspense: BTreeMap::new(),
            inputs: Vec::new(),
            policy: String::new(),
            rules: 1,
            recon_hash: [0; 32],
        }
    }

    fn altered(file: &[u8], from: &str, to: &str) -> Vec<u8> {
        let text = String::from_utf8(file.to_vec()).unwrap();
        assert!(text.contains(from));
        text.replacen(from, to, 1).into_bytes()
    }

    #[test]
    fn the_public_key_alone_tells_a_true_certificate_from_an_altered_one() {
        let key = CloseKey::new("local", &[7; 32]);
        let public = PublicKey::parse(&key.public().to_string()).unwrap();
        let file = key.sign(&certificate(1, None));
        let verified = verify(std::slice::from_ref(&file), &public).unwrap();
        assert_eq!(verified[0].close, certificate(1, None).value());
        let field = |file: Vec<u8>, key: &PublicKey| verify(&[file], key).unwrap_err().field;
        assert_eq!(field(altered(&file, ":700", ":701"), &public), "balances");
        assert_eq!(
            field(altered(&file, "\\nsettled\\n", "\\nedge\\n"), &public),
            "note"
        );
        assert_eq!(
            field(altered(&file, "\"note\"", "\"noted\""), &public),
            "note"
        );
        let other = CloseKey::new("local", &[8; 32]).public();
        assert_eq!(field(file, &other), "key");
    }

    #[test]
    fn a_chain_is_whole_or_its_field_is_named() {
        let key = CloseKey::new("local", &[7; 32]);
        let one = key.sign(&certificate(1, None));
        let hash = certificate(1, None).value().digest();
        let two = key.sign(&certificate(2, Some(hash)));
        let three = key.sign(&certificate(
            3,
            Some(certificate(2, Some(hash)).value().digest()),
        ));
        let chain = [one.clone(), two.clone(), three.clone()];
        assert_eq!(verify(&chain, &key.public()).unwrap().len(), 3);
        let field = |files: &[Vec<u8>]| verify(files, &key.public()).unwrap_err().field;
        assert_eq!(field(&[one.clone(), three]), "n");
        let forked = key.sign(&certificate(2, Some([1; 32])));
        assert_eq!(field(&[one, forked]), "prev");
    }

    #[test]
    fn base64_has_one_form() {
        for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            assert_eq!(base64(plain.as_bytes()), text);
            assert_eq!(from_base64(text).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(from_base64("Zh=="), None);
        assert_eq!(from_base64("Zg="), None);
    }
}
