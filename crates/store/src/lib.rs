//! Values to disk and back: the journal and the books.

pub mod books;
