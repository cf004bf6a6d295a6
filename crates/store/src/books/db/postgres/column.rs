//! Values in the server's own form: alone, and as the array of one column of many rows.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use postgres::types::{FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};

use super::super::value::Value;

/// The values of one column, as the inside of an array.
#[derive(Debug, Default)]
pub(super) struct Column {
    body: Vec<u8>,
    count: i32,
    nulls: bool,
}

impl Column {
    /// Adds a value; how many bytes it takes.
    pub(super) fn push(&mut self, value: Value<'_>) -> usize {
        let before = self.body.len();
        let sized = |body: &mut Vec<u8>, bytes: &[u8]| {
            // A value longer than the protocol can say is refused by the server as damage.
            let len = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
            body.extend_from_slice(&len.to_be_bytes());
            body.extend_from_slice(bytes);
        };
        match value {
            Value::Null => {
                self.nulls = true;
                self.body.extend_from_slice(&(-1_i32).to_be_bytes());
            }
            Value::Int(number) => sized(&mut self.body, &number.to_be_bytes()),
            Value::Text(text) => sized(&mut self.body, text.as_bytes()),
            Value::Blob(bytes) => sized(&mut self.body, bytes),
        }
        self.count += 1;
        self.body.len() - before
    }
}

impl ToSql for Column {
    fn to_sql(
        &self,
        of: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Kind::Array(member) = of.kind() else {
            return Err("an array was not asked for".into());
        };
        out.put_i32(1);
        out.put_i32(i32::from(self.nulls));
        out.put_u32(member.oid());
        out.put_i32(self.count);
        out.put_i32(1);
        out.put_slice(&self.body);
        Ok(IsNull::No)
    }

    fn accepts(of: &Type) -> bool {
        matches!(*of, Type::INT8_ARRAY | Type::TEXT_ARRAY | Type::BYTEA_ARRAY)
    }

    to_sql_checked!();
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        of: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Int(number) if *of == Type::INT8 => out.put_i64(*number),
            Self::Int(number) if *of == Type::INT4 => out.put_i32(i32::try_from(*number)?),
            Self::Text(text) if *of == Type::TEXT => out.put_slice(text.as_bytes()),
            Self::Blob(bytes) if *of == Type::BYTEA => out.put_slice(bytes),
            Self::Int(_) | Self::Text(_) | Self::Blob(_) => {
                return Err(format!("a value of another type than {of} was given").into());
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(of: &Type) -> bool {
        matches!(*of, Type::INT8 | Type::INT4 | Type::TEXT | Type::BYTEA)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value<'a> {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        match *of {
            Type::INT8 => Ok(Self::Int(i64::from_be_bytes(raw.try_into()?))),
            Type::INT4 => Ok(Self::Int(i32::from_be_bytes(raw.try_into()?).into())),
            Type::BOOL => Ok(Self::Int(i64::from(raw != [0]))),
            Type::TEXT => Ok(Self::Text(std::str::from_utf8(raw)?)),
            _ => Ok(Self::Blob(raw)),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(of: &Type) -> bool {
        matches!(
            *of,
            Type::INT8 | Type::INT4 | Type::BOOL | Type::TEXT | Type::BYTEA
        )
    }
}

/// Values as bytes that differ where they do.
pub(super) fn key(values: &[Value<'_>]) -> Vec<u8> {
    let mut all = Column::default();
    for value in values {
        all.push(*value);
    }
    all.body
}
