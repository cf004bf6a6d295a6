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

use popwatch_core::code::Code;
use popwatch_core::ledger::close::{self, Certificate, Value};
use popwatch_core::limits::CERTIFICATE_BYTES_MAX;
use serde_json::{Map, Value as Json, json};

use crate::note::{self, NoteFault, NoteKey, PublicKey};

/// The name of the key that an org closes with.
#[must_use]
pub fn key_name(org: &str) -> String {
    format!("{org}.close.popwatch")
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

/// The file of a certificate.
#[must_use]
pub fn sign(key: &NoteKey, certificate: &Certificate) -> Vec<u8> {
    let note = key.sign(&certificate.note());
    let file = json!({"note": note, "close": to_json(&certificate.value())});
    serde_json::to_vec(&file).expect("texts and numbers are JSON")
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
    let (text, _) =
        note::parts(&note).ok_or_else(|| CloseFault::new("note", "is not a signed note"))?;
    // The digest is compared first: of a field altered in the certificate and not in the note that
    // field can be named, and a note altered as well fails by its signature.
    let altered = close::altered(text, &held);
    match (key.open(&note), altered) {
        (Ok(_), None) => Ok(Verified {
            hash: held.digest(),
            close: held,
        }),
        (Ok(_), Some(field)) => Err(CloseFault::new(field, "is not what was signed")),
        (Err(NoteFault::Wrong), altered) => {
            let field = altered.unwrap_or_else(|| "note".to_owned());
            Err(CloseFault::new(field, "is not what the key signed"))
        }
        (Err(NoteFault::Unknown | NoteFault::Form), _) => {
            let problem = "no signature of this key is on the note";
            Err(CloseFault::new("key", problem))
        }
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
        let key = NoteKey::new(&key_name("local"), &[7; 32]);
        let public = PublicKey::parse(&key.public().to_string()).unwrap();
        let file = sign(&key, &certificate(1, None));
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
        let other = NoteKey::new(&key_name("local"), &[8; 32]).public();
        assert_eq!(field(file, &other), "key");
    }

    #[test]
    fn a_chain_is_whole_or_its_field_is_named() {
        let key = NoteKey::new(&key_name("local"), &[7; 32]);
        let one = sign(&key, &certificate(1, None));
        let hash = certificate(1, None).value().digest();
        let two = sign(&key, &certificate(2, Some(hash)));
        let three = sign(
            &key,
            &certificate(3, Some(certificate(2, Some(hash)).value().digest())),
        );
        let chain = [one.clone(), two.clone(), three.clone()];
        assert_eq!(verify(&chain, &key.public()).unwrap().len(), 3);
        let field = |files: &[Vec<u8>]| verify(files, &key.public()).unwrap_err().field;
        assert_eq!(field(&[one.clone(), three]), "n");
        let forked = sign(&key, &certificate(2, Some([1; 32])));
        assert_eq!(field(&[one, forked]), "prev");
    }
}
