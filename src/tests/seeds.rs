//! The seeds of the fuzz targets: a recorded conversation, the same on every machine.

use super::schedules::conversation;
use std::fs;
use std::path::Path;

#[test]
fn the_seeds_of_the_streams_are_a_conversation_as_it_is_today() {
    let (_, up, down) = conversation();
    for (target, bytes) in [("server_stream", up), ("client_stream", down)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target).join("conversation");
        if std::env::var_os("STROMBUS_WRITE_SEEDS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        assert!(fs::read(&path).unwrap() == bytes, "STROMBUS_WRITE_SEEDS=1 cargo test --lib seeds");
    }
}
