//! `#[derive(Word)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Result};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(input, "only an enum is a list of words"));
    };
    let mut is_upper_case = false;
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("word")) {
        attribute.parse_nested_meta(|meta| {
            is_upper_case = meta.path.is_ident("UPPERCASE");
            if is_upper_case { Ok(()) } else { Err(meta.error("the one style there is: UPPERCASE")) }
        })?;
    }
    let mut variants = Vec::new();
    let mut words = Vec::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new_spanned(variant, "a word has no data"));
        }
        let name = variant.ident.to_string();
        words.push(if is_upper_case { name.to_uppercase() } else { snake_case(&name) });
        variants.push(&variant.ident);
    }
    let name = &input.ident;
    Ok(quote! {
        impl ::shared::request::Word for #name {
            const ALL: &'static [(&'static str, Self)] = &[#((#words, Self::#variants)),*];

            fn word(self) -> &'static str {
                match self { #(Self::#variants => #words),* }
            }
        }

        impl ::shared::request::Field for #name {
            fn parse(value: ::shared::request::Value<'_>) -> ::core::result::Result<Self, ::shared::answer::Fault> {
                ::shared::request::read_word(value)
            }

            #[cfg(not(target_arch = "wasm32"))]
            fn schema() -> ::shared::serde_json::Value {
                ::shared::serde_json::json!({ "type": "string", "enum": [#(#words),*] })
            }
        }

        impl ::shared::serde::Serialize for #name {
            fn serialize<S: ::shared::serde::Serializer>(&self, serializer: S) -> ::core::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(::shared::request::Word::word(*self))
            }
        }
    })
}

fn snake_case(name: &str) -> String {
    let mut word = String::new();
    for (place, character) in name.chars().enumerate() {
        if character.is_uppercase() && place > 0 {
            word.push('_');
        }
        word.extend(character.to_lowercase());
    }
    word
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn variants_become_words() {
        for (name, word) in [("User", "user"), ("LlmContext", "llm_context")] {
            assert_eq!(snake_case(name), word);
        }
    }
}
