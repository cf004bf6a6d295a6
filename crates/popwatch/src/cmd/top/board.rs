//! The rows of a popup as the live stream leaves them, and the stream's text.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// An event of the stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: String,
    pub(super) id: Option<String>,
}

/// Takes a stream apart line by line.
#[derive(Debug, Default)]
pub(super) struct Lines {
    event: Event,
}

impl Lines {
    /// One line without its end; an event when it is complete.
    pub(super) fn take(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return (!event.name.is_empty()).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => self.event.data.push_str(value),
            "id" => self.event.id = Some(value.to_owned()),
            _other => {}
        }
        None
    }
}

/// What is known of the popup.
#[derive(Debug, Clone, Default)]
pub(super) struct Board {
    /// Rows by key.
    pub(super) rows: BTreeMap<String, Value>,
    /// How complete they are.
    pub(super) asof: Value,
    /// Where to go on after a break.
    pub(super) place: Option<String>,
    /// The server holds less than is shown; nothing changes until it has caught up.
    pub(super) behind: bool,
}

impl Board {
    /// Takes an event; the rows that changed, `null` where one is gone.
    pub(super) fn take(&mut self, event: &Event) -> Vec<(String, Value)> {
        let Ok(Value::Object(mut data)) = serde_json::from_str::<Value>(&event.data) else {
            return Vec::new();
        };
        match event.name.as_str() {
            "snapshot" | "delta" => {
                self.place = event.id.clone().or_else(|| self.place.take());
                self.behind = false;
                let is_whole = event.name == "snapshot";
                self.replace(&mut data, is_whole)
            }
            "behind" => {
                self.behind = true;
                Vec::new()
            }
            _tick => {
                if let (Value::Object(asof), false) = (&mut self.asof, self.behind) {
                    asof.extend(data);
                }
                Vec::new()
            }
        }
    }

    fn replace(&mut self, data: &mut Map<String, Value>, is_whole: bool) -> Vec<(String, Value)> {
        let mut changed = Vec::new();
        let gone = data.remove("gone").unwrap_or_default();
        let gone = gone
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        let mut gone: Vec<String> = gone.map(str::to_owned).collect();
        let Some(Value::Object(rows)) = data.remove("rows") else {
            return changed;
        };
        if is_whole {
            let keep = data.remove("keep").unwrap_or_default();
            let kept = |key: &str| keep.as_str().is_some_and(|start| key.starts_with(start));
            let lost = self.rows.keys();
            let lost = lost.filter(|key| !rows.contains_key(*key) && !kept(key));
            gone.extend(lost.cloned().collect::<Vec<_>>());
        }
        for key in gone {
            if self.rows.remove(&key).is_some() {
                changed.push((key, Value::Null));
            }
        }
        for (key, row) in rows {
            if self.rows.get(&key) != Some(&row) {
                changed.push((key.clone(), row.clone()));
                self.rows.insert(key, row);
            }
        }
        if let Some(asof) = data.remove("asof") {
            self.asof = asof;
        }
        changed
    }

    /// Rows under a beginning of their keys, ascending.
    pub(super) fn under<'a>(&'a self, start: &'a str) -> impl Iterator<Item = &'a Value> {
        let rows = self.rows.range(start.to_owned()..);
        let rows = rows.take_while(move |(key, _)| key.starts_with(start));
        rows.map(|(_, row)| row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(name: &str, data: &Value) -> Event {
        let mut lines = Lines::default();
        for line in [
            &format!("event: {name}"),
            "id: v1.x",
            &format!("data: {data}"),
        ] {
            assert_eq!(lines.take(line), None);
        }
        lines.take("").unwrap()
    }

    #[test]
    fn rows_follow_the_stream() {
        let mut board = Board::default();
        let first = json!({"asof": {"have": 1}, "rows": {"now": 1, "min/1": 1, "min/2": 2}});
        assert_eq!(board.take(&event("snapshot", &first)).len(), 3);
        assert_eq!(board.place.as_deref(), Some("v1.x"));
        let delta = json!({"asof": {"have": 2}, "rows": {"now": 2}, "gone": ["min/1"]});
        let changed = board.take(&event("delta", &delta));
        assert_eq!(
            changed,
            [
                ("min/1".to_owned(), Value::Null),
                ("now".to_owned(), json!(2))
            ]
        );
        board.take(&event("behind", &json!({"rigs": ["a"]})));
        assert!(board.behind);
        let back = json!({"asof": {"have": 3}, "rows": {"popup": 1}, "keep": "min/", "gone": []});
        board.take(&event("snapshot", &back));
        let keys: Vec<_> = board.rows.keys().cloned().collect();
        assert_eq!(
            (keys, board.behind),
            (vec!["min/2".to_owned(), "popup".to_owned()], false)
        );
        board.take(&event("tick", &json!({"server_ms": 9})));
        assert_eq!(board.asof, json!({"have": 3, "server_ms": 9}));
        assert_eq!(board.under("min/").count(), 1);
    }

    #[test]
    fn what_is_no_event_is_passed_over() {
        let mut lines = Lines::default();
        for line in ["", ": a comment", "retry: 700", "", "data"] {
            assert_eq!(lines.take(line), None);
        }
        let mut board = Board::default();
        let torn = Event {
            name: String::from("delta"),
            data: String::from("{\"rows\":"),
            id: None,
        };
        assert!(board.take(&torn).is_empty());
    }
}
