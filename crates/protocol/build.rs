//! Generates the codec from `messages/*.kmsg` into `OUT_DIR`.
#![allow(clippy::disallowed_methods, reason = "a build script reads and writes files of the build")]

use std::{env, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-changed=messages");
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let out = Path::new(&out).join("messages");
    fs::create_dir_all(&out).expect("OUT_DIR is writable");
    let mut files = Vec::new();
    let mut paths: Vec<_> =
        fs::read_dir("messages").expect("messages/ exists").map(|e| e.expect("readable entry").path()).collect();
    paths.sort();
    for path in paths {
        let module = path.file_stem().expect("a file name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("a text file");
        match ottla_protocol_gen::read_definition(&format!("{module}.kmsg"), &text) {
            Ok(message) => files.push((module, message)),
            Err(e) => panic!("{e}"),
        }
    }
    for (module, message) in &files {
        if let Some(text) = ottla_protocol_gen::emit::emit(message) {
            fs::write(out.join(format!("{module}.rs")), text).expect("OUT_DIR is writable");
        }
    }
    fs::write(out.join("api_keys.rs"), ottla_protocol_gen::emit::emit_api_keys(&files)).expect("OUT_DIR is writable");
    fs::write(out.join("schemas.rs"), ottla_protocol_gen::emit::emit_schemas(&files)).expect("OUT_DIR is writable");
    fs::write(out.join("index.rs"), ottla_protocol_gen::emit::emit_index(&files)).expect("OUT_DIR is writable");
}
