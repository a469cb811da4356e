//! Writes `schemas/`: `cargo run -p bus --example schemas`.

mod generate;

fn main() -> std::io::Result<()> {
    for (name, text) in generate::files() {
        std::fs::write(generate::folder().join(name), text)?;
    }
    Ok(())
}
