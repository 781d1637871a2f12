//! Makes the public headers from their hand-written parts and the Rust files of the C functions.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Writes the public headers into `include` of the profile's target directory: each file under
/// `headers`, with its marker lines replaced by what they ask for.
pub fn generate() {
    println!("cargo:rerun-if-changed=cbindgen.toml");
    println!("cargo:rerun-if-changed=headers");
    // The whole directory, for files that are not there yet.
    println!("cargo:rerun-if-changed=src/c_api");
    let output = target_directory().join("include");
    for directory in ["", "event2"] {
        fs::create_dir_all(output.join(directory)).expect("create the header directory");
        for entry in fs::read_dir(Path::new("headers").join(directory)).expect("read headers") {
            let template = entry.expect("read headers").path();
            let is_header = template
                .extension()
                .is_some_and(|extension| extension == "h");
            if is_header && is_ready(&template) {
                let header = output
                    .join(directory)
                    .join(template.file_name().expect("a file"));
                write_if_different(&header, &expand(&template));
            }
        }
    }
}

/// `target/PROFILE`, which holds `build/PACKAGE/out`.
fn target_directory() -> PathBuf {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    out.ancestors()
        .nth(3)
        .expect("cargo's directory layout")
        .into()
}

fn write_if_different(path: &Path, text: &str) {
    if fs::read_to_string(path).ok().as_deref() != Some(text) {
        fs::write(path, text).expect("write a generated file");
    }
}

/// Whether the functions of a header, and those of the headers that it includes, are written.
fn is_ready(template: &Path) -> bool {
    let text = fs::read_to_string(template).expect("read a header's hand-written part");
    text.lines().all(|line| {
        let included = line
            .strip_prefix("#include <")
            .and_then(|rest| rest.strip_suffix('>'));
        let included = included.map(|name| Path::new("headers").join(name));
        match (
            marker(line).and_then(|text| text.strip_prefix("from ")),
            included,
        ) {
            (Some(source), _) => Path::new(source).exists(),
            (None, Some(header)) => !header.exists() || is_ready(&header),
            (None, None) => true,
        }
    })
}

/// What a marker line asks for.
fn marker(line: &str) -> Option<&str> {
    line.strip_prefix("/* generated ")
        .and_then(|rest| rest.strip_suffix(" */"))
}

/// The hand-written part of a header, with the generated parts in their places.
fn expand(template: &Path) -> String {
    let hand_written = fs::read_to_string(template).expect("read a header's hand-written part");
    let mut header = String::new();
    for line in hand_written.lines() {
        let marker = line
            .strip_prefix("/* generated ")
            .and_then(|rest| rest.strip_suffix(" */"));
        match marker {
            Some("2.0 names") => header.push_str(&names_of_2_0(&hand_written)),
            Some(from) => {
                let source = from
                    .strip_prefix("from ")
                    .expect("/* generated from FILE */");
                if !header.ends_with("\n\n") {
                    header.push('\n');
                }
                header.push_str(&c_text_of(Path::new(source)));
            }
            None => {
                header.push_str(line);
                header.push('\n');
            }
        }
    }
    header
}

/// The 2.0 series called `EVENT__X` `_EVENT_X`; a program may have defined some of these itself.
fn names_of_2_0(config: &str) -> String {
    let mut text = String::new();
    for line in config.lines() {
        let Some(rest) = line.strip_prefix("#define EVENT__") else {
            continue;
        };
        let name = rest.split_whitespace().next().expect("a macro name");
        writeln!(
            text,
            "#ifndef _EVENT_{name}\n#define _EVENT_{name} EVENT__{name}\n#endif"
        )
        .expect("write to a string");
    }
    text
}

/// What cbindgen makes of one Rust file.
fn c_text_of(source: &Path) -> String {
    println!("cargo:rerun-if-changed={}", source.display());
    let rust = fs::read_to_string(source).expect("read a source file");
    let config = configure(&rust);
    // cbindgen sees this file alone, so it cannot know that these types are function pointers,
    // whose nullable form in C is the same type.
    let mut readable = rust.clone();
    for alias in config.export.rename.keys() {
        readable = readable.replace(&format!("Option<{alias}>"), alias);
    }
    let copy = target_directory()
        .join("include")
        .join(source.file_name().expect("a file"));
    fs::write(&copy, readable).expect("write a copy for cbindgen");
    let bindings = cbindgen::Builder::new()
        .with_src(&copy)
        .with_config(config)
        .generate();
    fs::remove_file(&copy).expect("remove the copy");
    let mut text = Vec::new();
    bindings.expect("generate a header").write(&mut text);
    let text = with_our_integer_types(&String::from_utf8(text).expect("cbindgen writes UTF-8"));
    laid_out(&with_literals_as_written(&text, &rust))
}

/// The configuration for one Rust file: every public type that it defines is wanted, and gets its
/// `struct` or `enum` from cbindgen.
fn configure(rust: &str) -> cbindgen::Config {
    let mut config = cbindgen::Config::from_file("cbindgen.toml").expect("read cbindgen.toml");
    for keyword in ["pub struct ", "pub enum ", "pub type "] {
        for line in rust.lines().filter_map(|line| line.strip_prefix(keyword)) {
            let name: String = line
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if let Some(c_name) = config.export.rename.get_mut(&name) {
                *c_name = c_name.replace("struct ", "").replace("enum ", "");
            }
            config.export.include.push(name);
        }
    }
    config
}

/// Names the integer types as the headers do, which define them as macros.
fn with_our_integer_types(text: &str) -> String {
    let inside_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut result = String::new();
    for piece in text.split_inclusive(|c: char| !inside_word(c)) {
        match piece.trim_end_matches(|c: char| !inside_word(c)) {
            "ptrdiff_t" => result.push_str(&piece.replace("ptrdiff_t", "ev_ssize_t")),
            "uint8_t" | "uint16_t" | "uint32_t" | "uint64_t" | "int64_t" | "ssize_t" => {
                result.push_str("ev_");
                result.push_str(piece);
            }
            _ => result.push_str(piece),
        }
    }
    result
}

/// Puts hexadecimal constants, which cbindgen prints in decimal, as they stand in the Rust file.
fn with_literals_as_written(text: &str, rust: &str) -> String {
    let mut result = text.to_owned();
    for line in rust
        .lines()
        .filter_map(|line| line.strip_prefix("pub const "))
    {
        let (Some((name, _)), Some((_, value))) = (line.split_once(':'), line.split_once("= 0x"))
        else {
            continue;
        };
        let digits = value.trim_end_matches(';').replace('_', "");
        let number = u64::from_str_radix(&digits, 16).expect("a hexadecimal constant");
        let suffix = if number > i32::MAX as u64 { "u" } else { "" };
        result = result.replace(
            &format!("#define {name} {number}\n"),
            &format!("#define {name} 0x{digits}{suffix}\n"),
        );
    }
    result
}

/// The layout of the hand-written parts: a comment of one line stands in one line, a long
/// prototype in several.
fn laid_out(text: &str) -> String {
    let mut result = String::new();
    let text = text.replace("EVENT2_EXPORT_SYMBOL ", "EVENT2_EXPORT_SYMBOL\n");
    // Old C++ knows no comma after the last enumerator.
    for line in text.replace(",\n};", "\n};").lines() {
        let is_comment = line.trim_start().starts_with('*');
        let mut rest = line;
        while rest.len() > LINE_LENGTH && !is_comment {
            let Some(comma) = last_break(&rest[..LINE_LENGTH]) else {
                break;
            };
            result.push_str(&rest[..=comma]);
            result.push_str("\n    ");
            rest = rest[comma + 1..].trim_start();
        }
        result.push_str(rest);
        result.push('\n');
    }
    in_one_line(&result)
}

/// Columns of a line of a header.
const LINE_LENGTH: usize = 96;

/// The last comma between two parameters of a function, not of one of its parameters.
fn last_break(line: &str) -> Option<usize> {
    let depth =
        |end| line[..end].matches('(').count() as isize - line[..end].matches(')').count() as isize;
    let commas = line.match_indices(", ").map(|(place, _)| place);
    commas.filter(|place| depth(*place) <= 1).last()
}

/// Joins the three lines of each comment that has one line of text.
fn in_one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut result = String::new();
    let mut next = 0;
    while let Some(line) = lines.get(next) {
        let words = lines
            .get(next + 1)
            .and_then(|second| second.trim_start().strip_prefix("* "));
        let ends = lines
            .get(next + 2)
            .is_some_and(|third| third.trim() == "*/");
        match words {
            Some(words)
                if line.trim() == "/**" && ends && line.len() + words.len() < LINE_LENGTH - 4 =>
            {
                writeln!(result, "{line} {words} */").expect("write to a string");
                next += 3;
            }
            _ => {
                writeln!(result, "{line}").expect("write to a string");
                next += 1;
            }
        }
    }
    result
}
