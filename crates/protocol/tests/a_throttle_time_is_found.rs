//! A writer knows where it wrote `ThrottleTimeMs`, in every response and version that has the field, and in nothing else.

mod every_message;

use every_message::random::Random;
use every_message::sample::{Fill, sample};
use every_message::{codecs, definitions, versions};

#[test]
fn the_place_of_the_throttle_time() {
    const MS: i32 = 0x1234_5678;
    let definitions = definitions();
    let mut responses = 0;
    for codec in codecs() {
        let message = &definitions[codec.module];
        let field = message.fields.iter().find(|field| field.name == "ThrottleTimeMs");
        for version in versions(message) {
            let has = field.is_some_and(|f| (f.versions.first..=f.versions.last).contains(&version));
            for round in 0..10 {
                let bytes = sample(message, version, Fill::Random, &mut Random::of(codec.module, version, round));
                let found = (codec.throttled)(&bytes, version, MS);
                assert_eq!(found.is_some(), has, "{} version {version}", message.name);
                if let Some(read) = found {
                    assert!(read.contains(&format!("throttle_time_ms: {MS}")), "{}: {read}", message.name);
                }
            }
            responses += usize::from(has);
        }
    }
    assert!(responses > 150, "only {responses} versions of responses have it");
}
