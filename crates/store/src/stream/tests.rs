//! Streams as statements see them.
