//! Refuses definitions that cannot be a Kafka message, so that the emitter need not think of them.

use std::collections::BTreeSet;

use crate::definition::{Field, Message, Type};

/// Checks names, tags, struct references and nullability.
///
/// # Errors
/// What is wrong, naming the field.
pub fn check(message: &Message) -> Result<(), String> {
    let mut structs: BTreeSet<&str> = message.structs.iter().map(|s| s.name.as_str()).collect();
    collect(&message.fields, &mut structs)?;
    for s in &message.structs {
        collect(&s.fields, &mut structs)?;
    }
    fields(message, &message.fields, &structs)?;
    message.structs.iter().try_for_each(|s| fields(message, &s.fields, &structs))
}

fn collect<'a>(fields: &'a [Field], names: &mut BTreeSet<&'a str>) -> Result<(), String> {
    for f in fields {
        if let (Some(inner), Some(name)) = (&f.fields, f.ty.struct_name()) {
            if !names.insert(name) {
                return Err(format!("struct {name} is defined twice"));
            }
            collect(inner, names)?;
        }
    }
    Ok(())
}

fn fields(message: &Message, all: &[Field], structs: &BTreeSet<&str>) -> Result<(), String> {
    let mut tags = BTreeSet::new();
    for f in all {
        if let Some(name) = f.ty.struct_name()
            && !structs.contains(name)
        {
            return Err(format!("field {} is of struct {name}, which is not defined", f.name));
        }
        if matches!(&f.ty, Type::Array(inner) if matches!(**inner, Type::Array(_))) {
            return Err(format!("field {} is an array of arrays", f.name));
        }
        if let Some((tag, versions)) = f.tag {
            // The length of a tagged field is known only once it is written, and then its bytes move: a hole must not.
            if holds_records(message, &f.ty) {
                return Err(format!("field {} is tagged and holds records", f.name));
            }
            if !tags.insert(tag) {
                return Err(format!("tag {tag} of field {} is taken", f.name));
            }
            if message.flexible.is_none_or(|x| versions.first < x.first) {
                return Err(format!("field {} is tagged in versions that are not flexible", f.name));
            }
        }
        if f.nullable.is_some()
            && !matches!(f.ty, Type::String | Type::Bytes | Type::Records | Type::Array(_) | Type::Struct(_))
        {
            return Err(format!("field {} is of a type that cannot be null", f.name));
        }
        if let Some(inner) = &f.fields {
            fields(message, inner, structs)?;
        }
    }
    Ok(())
}

/// Whether a type is record bytes, or a struct with such a field.
fn holds_records(message: &Message, ty: &Type) -> bool {
    match ty {
        Type::Records => true,
        Type::Array(inner) => holds_records(message, inner),
        Type::Struct(name) => message.fields_of(name).iter().any(|f| holds_records(message, &f.ty)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::read_definition;

    #[test]
    fn what_cannot_be_is_refused_with_a_sentence() {
        for (body, want) in [
            ("  A int32 0+ nullable 0+\n", "x: field A is of a type that cannot be null"),
            ("  A Missing 0+\n", "x: field A is of struct Missing, which is not defined"),
            ("  A S 0+ tag 0 0+ {\n    B records 0+\n  }\n", "x: field A is tagged and holds records"),
            ("  A [][]int32 0+\n", "x: field A is an array of arrays"),
            ("  A int32 0+ tag 0 0+\n  B int32 0+ tag 0 0+\n", "x: tag 0 of field B is taken"),
        ] {
            let text = format!("data X versions 0 flexible 0+ {{\n{body}}}\n");
            assert_eq!(read_definition("x", &text), Err(want.to_owned()));
        }
    }
}
