//! Has the crate built anew when a migration comes: it holds them all.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
