//! Every message at every version reads bytes made from its definition and writes the very same ones.

mod every_message;

use every_message::random::Random;
use every_message::sample::{Fill, sample};
use every_message::{codecs, definitions, versions};
use ottla_protocol::reader::Reader;
use ottla_protocol::schema;

const ROUNDS: u64 = 40;

#[test]
fn every_message_at_every_version_writes_the_bytes_that_it_read() {
    let definitions = definitions();
    let mut cases = 0;
    for codec in codecs() {
        let message = &definitions[codec.module];
        for version in versions(message) {
            for fill in [Fill::Defaults, Fill::Random, Fill::UnknownTags] {
                for round in 0..if fill == Fill::Defaults { 1 } else { ROUNDS } {
                    let mut random = Random::of(codec.module, version, round);
                    let bytes = sample(message, version, fill, &mut random);
                    let written = (codec.decode_encode)(&bytes, version);
                    assert_eq!(written, bytes, "{} version {version} round {round}", message.name);
                    cases += 1;
                }
            }
        }
    }
    assert!(cases > 50_000, "only {cases} cases were tried");
}

#[test]
fn the_tables_read_what_the_types_read() {
    let definitions = definitions();
    let mut cases = 0;
    for schema in schema::LOGGED {
        let (module, message) = definitions.iter().find(|(_, m)| m.name == schema.name).expect("a definition");
        for version in versions(message) {
            for (fill, rounds) in [(Fill::Defaults, 1), (Fill::Random, ROUNDS), (Fill::UnknownTags, ROUNDS)] {
                for round in 0..rounds {
                    let bytes = sample(message, version, fill, &mut Random::of(module, version, round));
                    let mut r = Reader::new(&bytes);
                    let read = schema.visit(&mut r, version, &mut ());
                    assert_eq!((read, r.remaining()), (Ok(()), 0), "{module} version {version} round {round}");
                    cases += 1;
                }
            }
        }
    }
    assert!(cases > 5_000, "only {cases} cases were tried");
}

#[test]
fn every_message_that_has_a_version_has_a_codec() {
    let with_version = definitions().values().filter(|m| m.versions.is_some()).count();
    assert_eq!(codecs().len(), with_version);
}

#[test]
fn a_version_outside_the_range_is_refused() {
    let definitions = definitions();
    for codec in codecs() {
        let range = definitions[codec.module].versions.expect("it has a codec");
        for version in [range.first - 1, range.last + 1, i16::MIN, i16::MAX] {
            assert!((codec.decode)(&[0; 64], version).is_err(), "{} {version}", codec.module);
        }
    }
}
