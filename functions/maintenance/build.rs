//! The migrations are compiled into `migrate`: it is built anew when one is added.

fn main() {
    println!("cargo:rerun-if-changed=../../infra/migrations");
}
