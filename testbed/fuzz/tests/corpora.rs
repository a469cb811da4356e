//! The committed corpora: whatever a fuzzer found once.

use std::path::Path;

#[test]
fn every_file_of_every_corpus_keeps_the_rules() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora");
    for (name, feed) in fuzzing::TARGETS {
        let mut count = 0;
        for entry in std::fs::read_dir(corpora.join(name)).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            if let Err(panic) = std::panic::catch_unwind(|| feed(&bytes)) {
                eprintln!("{}", path.display());
                std::panic::resume_unwind(panic);
            }
            count += 1;
        }
        assert!(count >= 5, "{name} has a corpus");
    }
}
