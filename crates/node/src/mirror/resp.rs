//! RESP2, the protocol of Redis and Valkey: commands out, values in, each bounded.
//!
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use popwatch_core::limits::{MIRROR_ANSWER_BYTES_MAX, MIRROR_WAIT_MS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Values may lie in values this deep.
const DEPTH_MAX: u32 = 4;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A text or bytes; `None` where there is nothing.
    Bytes(Option<Vec<u8>>),
    /// A number.
    Number(i64),
    /// Several.
    Many(Vec<Value>),
    /// The server refused.
    Refused(String),
}

impl Value {
    /// The bytes, where it is some.
    pub(super) fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(_) | Self::Many(_) | Self::Refused(_) => None,
        }
    }

    /// The values, none where it is not several.
    pub(super) fn many(self) -> Vec<Self> {
        match self {
            Self::Many(values) => values,
            Self::Bytes(_) | Self::Number(_) | Self::Refused(_) => Vec::new(),
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

fn wrong(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let limit = Duration::from_millis(MIRROR_WAIT_MS);
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(ErrorKind::TimedOut.into()),
    }
}

impl Connection {
    /// Connects to `host:port` and, where there is one, says the password.
    pub(super) async fn open(address: &str, password: Option<&str>) -> Result<Self> {
        let stream = in_time(TcpStream::connect(address)).await?;
        stream.set_nodelay(true)?;
        let mut connection = Self {
            stream,
            read: Vec::new(),
        };
        if let Some(password) = password {
            connection.ask(&[b"AUTH", password.as_bytes()]).await?;
        }
        Ok(connection)
    }

    /// Sends a command and waits for its answer; a refusal is an error.
    pub(super) async fn ask(&mut self, parts: &[&[u8]]) -> Result<Value> {
        self.send(parts).await?;
        let answer = in_time(self.next()).await?;
        if let Value::Refused(why) = answer {
            return Err(Error::other(why));
        }
        Ok(answer)
    }

    /// Sends a command.
    pub(super) async fn send(&mut self, parts: &[&[u8]]) -> Result<()> {
        let mut bytes = format!("*{}\r\n", parts.len()).into_bytes();
        for part in parts {
            bytes.extend(format!("${}\r\n", part.len()).into_bytes());
            bytes.extend_from_slice(part);
            bytes.extend_from_slice(b"\r\n");
        }
        in_time(self.stream.write_all(&bytes)).await
    }

    /// The next value, whenever it comes. Nothing is lost when this is dropped half way.
    pub(super) async fn next(&mut self) -> Result<Value> {
        loop {
            if let Some((value, length)) = parse(&self.read, 0)? {
                self.read.drain(..length);
                return Ok(value);
            }
            if self.read.len() > MIRROR_ANSWER_BYTES_MAX {
                return Err(wrong("an answer passes its bound"));
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// The value at the start of the bytes and its length; `None` while it is not all there.
fn parse(bytes: &[u8], depth: u32) -> Result<Option<(Value, usize)>> {
    let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else {
        return Ok(None);
    };
    let (kind, text) = bytes[..end]
        .split_first()
        .ok_or_else(|| wrong("an empty line"))?;
    let text = std::str::from_utf8(text).map_err(|_| wrong("a line that is no text"))?;
    let number = || {
        text.parse::<i64>()
            .map_err(|_| wrong("a number that is none"))
    };
    let start = end + 2;
    match kind {
        b'+' => Ok(Some((Value::Bytes(Some(text.as_bytes().to_vec())), start))),
        b'-' => Ok(Some((Value::Refused(text.to_owned()), start))),
        b':' => Ok(Some((Value::Number(number()?), start))),
        b'$' => {
            let Ok(length) = usize::try_from(number()?) else {
                return Ok(Some((Value::Bytes(None), start)));
            };
            if length > MIRROR_ANSWER_BYTES_MAX {
                return Err(wrong("a value passes its bound"));
            }
            let value = bytes.get(start..start + length + 2);
            Ok(value.map(|value| {
                (
                    Value::Bytes(Some(value[..length].to_vec())),
                    start + length + 2,
                )
            }))
        }
        b'*' if depth < DEPTH_MAX => {
            let (mut values, mut at) = (Vec::new(), start);
            for _ in 0..number()?.max(0) {
                let Some((value, length)) = parse(&bytes[at..], depth + 1)? else {
                    return Ok(None);
                };
                values.push(value);
                at += length;
            }
            Ok(Some((Value::Many(values), at)))
        }
        _other => Err(wrong("a value of an unknown kind")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_whole_or_not_yet() {
        let bytes = b"*3\r\n$3\r\na\r\n\r\n:-7\r\n*1\r\n$-1\r\n+OK\r\n";
        for cut in 0..bytes.len() - 5 {
            assert_eq!(parse(&bytes[..cut], 0).unwrap(), None, "{cut}");
        }
        let (value, length) = parse(bytes, 0).unwrap().unwrap();
        let inner = Value::Many(vec![Value::Bytes(None)]);
        let text = Value::Bytes(Some(b"a\r\n".to_vec()));
        assert_eq!(value, Value::Many(vec![text, Value::Number(-7), inner]));
        assert_eq!(&bytes[length..], b"+OK\r\n");
        assert_eq!(
            parse(b"-ERR no\r\n", 0).unwrap().unwrap().0,
            Value::Refused("ERR no".into())
        );
    }

    #[test]
    fn nonsense_is_an_error_before_it_is_memory() {
        for bytes in [
            &b"?\r\n"[..],
            b"$x\r\n",
            b"\r\n",
            b"$99999999999\r\n",
            b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
        ] {
            assert!(parse(bytes, 0).is_err(), "{bytes:?}");
        }
    }
}
