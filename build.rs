// Only the library must take its memory from the program's allocator.
#![allow(clippy::disallowed_types)]

#[path = "headers/generate.rs"]
mod headers;

fn main() {
    compile_variadic_functions();
    headers::generate();
}

/// Rust cannot define functions with variable arguments: those few are C.
fn compile_variadic_functions() {
    let sources = ["src/c_api/variadic.c", "src/c_api/simple_format.c"];
    for source in sources {
        println!("cargo:rerun-if-changed={source}");
    }
    println!("cargo:rerun-if-changed=src/c_api/simple_format.h");
    cc::Build::new()
        .files(sources)
        .std("gnu11")
        .flag("-fexceptions")
        .extra_warnings(true)
        .warnings_into_errors(true)
        .compile("variadic");
}
