//! Walks a tree of a policy: where one stands, what must stand there, and what is left over.

use popwatch_core::policy::duration::Span;

use super::PolicyFault;
use super::tree::{Kind, Node, Place};
use crate::json::rfc3339_ms;

/// A value and the path to it.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    pub(super) node: &'a Node,
    pub(super) path: String,
}

/// The fields of an object that nobody asked for yet.
pub(super) struct Fields<'a> {
    path: String,
    at: Place,
    left: Vec<(&'a str, Place, &'a Node)>,
}

/// What came of reading.
pub(super) type Read<T> = Result<T, PolicyFault>;

impl<'a> Cursor<'a> {
    pub(super) const fn root(node: &'a Node) -> Self {
        Self {
            node,
            path: String::new(),
        }
    }

    /// It cannot be read.
    pub(super) fn refuse<T>(&self, what: impl Into<String>) -> Read<T> {
        Err(PolicyFault::unreadable(self.node.at, &self.path, what))
    }

    /// It is looser than any policy may be.
    pub(super) fn below<T>(&self, floor: impl Into<String>) -> Read<T> {
        Err(PolicyFault::below(self.node.at, &self.path, floor))
    }

    pub(super) fn map(&self) -> Read<Fields<'a>> {
        let Kind::Map(fields) = &self.node.kind else {
            return self.refuse("must be an object");
        };
        let left = fields.iter();
        Ok(Fields {
            path: self.path.clone(),
            at: self.node.at,
            left: left
                .map(|(name, at, node)| (name.as_str(), *at, node))
                .collect(),
        })
    }

    pub(super) fn list(&self, max: usize) -> Read<Vec<Self>> {
        let Kind::List(items) = &self.node.kind else {
            return self.refuse("must be a list");
        };
        if items.len() > max {
            return self.refuse(format!("has more than {max} entries"));
        }
        let items = items.iter().enumerate();
        let items = items.map(|(at, node)| Self {
            node,
            path: format!("{}[{at}]", self.path),
        });
        Ok(items.collect())
    }

    pub(super) fn text(&self) -> Read<&'a str> {
        match &self.node.kind {
            Kind::Text(text) => Ok(text),
            Kind::Int(_) | Kind::Flag(_) | Kind::List(_) | Kind::Map(_) => {
                self.refuse("must be a text")
            }
        }
    }

    pub(super) fn number(&self, min: i64, max: i64) -> Read<i64> {
        match self.node.kind {
            Kind::Int(number) if (min..=max).contains(&number) => Ok(number),
            Kind::Int(_) | Kind::Text(_) | Kind::Flag(_) | Kind::List(_) | Kind::Map(_) => {
                self.refuse(format!("must be an integer from {min} to {max}"))
            }
        }
    }

    pub(super) fn small(&self, min: u32, max: u32) -> Read<u32> {
        let number = self.number(i64::from(min), i64::from(max))?;
        Ok(u32::try_from(number).expect("the bounds are of this width"))
    }

    pub(super) fn flag(&self) -> Read<bool> {
        match self.node.kind {
            Kind::Flag(yes) => Ok(yes),
            Kind::Int(_) | Kind::Text(_) | Kind::List(_) | Kind::Map(_) => {
                self.refuse("must be true or false")
            }
        }
    }

    pub(super) fn span(&self) -> Read<Span> {
        let span = Span::parse(self.text()?);
        span.map_or_else(
            || self.refuse("must be a span such as P30D, PT72H or P1DT12H"),
            Ok,
        )
    }

    pub(super) fn moment(&self) -> Read<i64> {
        let text = self.text()?;
        let said = rfc3339_ms(text).filter(|_| text.ends_with('Z'));
        said.map_or_else(
            || self.refuse("must be a time of UTC such as 2026-11-28T17:00:00Z"),
            Ok,
        )
    }

    /// One of a closed set.
    pub(super) fn one<T>(&self, parse: impl Fn(&str) -> Option<T>, known: &str) -> Read<T> {
        let found = parse(self.text()?);
        found.map_or_else(|| self.refuse(format!("must be one of {known}")), Ok)
    }
}

impl<'a> Fields<'a> {
    /// A field, if it is there.
    pub(super) fn take(&mut self, name: &str) -> Option<Cursor<'a>> {
        let at = self.left.iter().position(|(known, ..)| *known == name)?;
        let (name, _, node) = self.left.remove(at);
        Some(Cursor {
            node,
            path: join(&self.path, name),
        })
    }

    /// A field that must be there.
    pub(super) fn need(&mut self, name: &str) -> Read<Cursor<'a>> {
        let path = join(&self.path, name);
        let at = self.at;
        self.take(name)
            .ok_or_else(|| PolicyFault::unreadable(at, &path, "is missing"))
    }

    /// All fields, whatever they are called, each with its name as a cursor's path end.
    pub(super) fn all(&mut self) -> Vec<(&'a str, Cursor<'a>, PolicyFault)> {
        let left = std::mem::take(&mut self.left).into_iter();
        left.map(|(name, at, node)| {
            let path = join(&self.path, name);
            let unknown = PolicyFault::unreadable(at, &path, "is not known here");
            (name, Cursor { node, path }, unknown)
        })
        .collect()
    }

    /// Whether nobody wrote anything that was not asked for yet.
    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Whether nothing is left over.
    pub(super) fn done(self) -> Read<()> {
        match self.left.first() {
            None => Ok(()),
            Some((name, at, _)) => {
                let path = join(&self.path, name);
                Err(PolicyFault::unreadable(*at, &path, "is not known here"))
            }
        }
    }
}

/// A key is shown as far as it looks like one.
fn join(path: &str, name: &str) -> String {
    let is_plain = name.len() <= 64
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let name = if is_plain { name } else { "(a key)" };
    match path {
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    }
}
