//! Values on their way into statements and out of rows.

use super::DbFault;

/// One value of a statement or a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::books) enum Value<'a> {
    /// Nothing.
    Null,
    /// A number.
    Int(i64),
    /// A text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

/// What may stand in a statement.
pub(in crate::books) trait ToValue {
    /// As a value.
    fn value(&self) -> Value<'_>;
}

/// What a column may be read as.
pub(in crate::books) trait FromValue: Sized {
    /// From a value; `None` when it is of another type.
    fn from_value(value: Value<'_>) -> Option<Self>;
}

/// One row of an answer.
pub(in crate::books) enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    #[cfg(feature = "postgres")]
    Postgres(&'a postgres::Row),
}

impl Row<'_> {
    /// A column, counted from 0.
    pub(in crate::books) fn get<T: FromValue>(&self, at: usize) -> Result<T, DbFault> {
        T::from_value(self.value(at)?).ok_or(DbFault::Shape(at))
    }

    /// The bytes of a column where they lie.
    pub(in crate::books) fn blob(&self, at: usize) -> Result<&[u8], DbFault> {
        match self.value(at)? {
            Value::Blob(bytes) => Ok(bytes),
            Value::Null | Value::Int(_) | Value::Text(_) => Err(DbFault::Shape(at)),
        }
    }

    fn value(&self, at: usize) -> Result<Value<'_>, DbFault> {
        match self {
            Self::Sqlite(row) => super::sqlite::value(row, at),
            #[cfg(feature = "postgres")]
            Self::Postgres(row) => Ok(row.try_get(at)?),
        }
    }
}

/// The values of a statement, in the order of their numbers.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        &[$($crate::books::db::ToValue::value(&$value)),*]
    };
}
pub(in crate::books) use values;

macro_rules! whole {
    ($($of:ty),*) => {$(
        impl ToValue for $of {
            fn value(&self) -> Value<'_> {
                Value::Int(i64::from(*self))
            }
        }

        impl FromValue for $of {
            fn from_value(value: Value<'_>) -> Option<Self> {
                match value {
                    Value::Int(number) => Self::try_from(number).ok(),
                    Value::Null | Value::Text(_) | Value::Blob(_) => None,
                }
            }
        }
    )*};
}
whole!(i64, u32, u8);

impl FromValue for bool {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value).map(|number| number != 0)
    }
}

impl ToValue for str {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl ToValue for String {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl FromValue for String {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.to_string()),
            Value::Null | Value::Int(_) | Value::Blob(_) => None,
        }
    }
}

impl ToValue for [u8] {
    fn value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl<const N: usize> ToValue for [u8; N] {
    fn value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Blob(bytes) => bytes.try_into().ok(),
            Value::Null | Value::Int(_) | Value::Text(_) => None,
        }
    }
}

impl ToValue for Vec<u8> {
    fn value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Blob(bytes) => Some(bytes.to_vec()),
            Value::Null | Value::Int(_) | Value::Text(_) => None,
        }
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, T::value)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            Value::Int(_) | Value::Text(_) | Value::Blob(_) => T::from_value(value).map(Some),
        }
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn value(&self) -> Value<'_> {
        T::value(self)
    }
}
