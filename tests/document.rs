//! `openapi.yaml` says what the code does, because it is made from it.

#[test]
fn the_file_is_what_the_code_describes() {
    let made = roomkeeper::app::document::yaml().unwrap();
    let kept = include_str!("../openapi.yaml");
    assert!(made == kept, "openapi.yaml is out of date: run `cargo run -- openapi > openapi.yaml`");
}
