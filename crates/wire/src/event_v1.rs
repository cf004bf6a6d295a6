//! Records as CloudEvents JSON, for export and for people. Chat text is never among it.
