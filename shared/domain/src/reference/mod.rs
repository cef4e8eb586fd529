//! Rules that the database's functions carry out, written a second time: tests compare the two. Nothing in production
//! calls what is here, so a change here alone changes nothing; it belongs beside a migration.

pub mod commission;
