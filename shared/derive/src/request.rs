//! `#[derive(Request)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{
    Data, DeriveInput, Error, Field, Fields, GenericArgument, Ident, Path, PathArguments, Result, Type, Visibility,
};

use crate::docs;

/// `#[request(…)]` on the struct.
#[derive(Default)]
struct Container {
    settings: Option<Path>,
    check: Option<Path>,
}

/// Where a field comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Primary,
    Path,
    Query,
    IdempotencyKey,
    IfMatch,
}

/// A field of the struct.
struct Member<'a> {
    visibility: &'a Visibility,
    ident: &'a Ident,
    name: String,
    /// Its type; of an `Option<T>`, the `T`.
    inner: &'a Type,
    is_optional: bool,
    is_flattened: bool,
    is_skipped: bool,
    from: From,
    docs: String,
}

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(input, "a request type is a struct"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(input, "a request type has named fields"));
    };
    let container = container(input)?;
    let members = fields.named.iter().map(member).collect::<Result<Vec<_>>>()?;
    let draft = draft(input, &members);
    let reading = reading(input, &members);
    let request = from_request(input, &container, &members);
    Ok(quote! { #draft #reading #request })
}

fn container(input: &DeriveInput) -> Result<Container> {
    let mut container = Container::default();
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("request")) {
        attribute.parse_nested_meta(|meta| {
            let place = if meta.path.is_ident("settings") {
                &mut container.settings
            } else if meta.path.is_ident("check") {
                &mut container.check
            } else {
                return Err(meta.error("there are: settings = Type, check = function"));
            };
            *place = Some(meta.value()?.parse()?);
            Ok(())
        })?;
    }
    Ok(container)
}

fn member(field: &Field) -> Result<Member<'_>> {
    let ident = field.ident.as_ref().ok_or_else(|| Error::new_spanned(field, "a field has a name"))?;
    let (inner, is_optional) = match option_of(&field.ty) {
        Some(inner) => (inner, true),
        None => (&field.ty, false),
    };
    let mut member = Member {
        visibility: &field.vis,
        ident,
        name: ident.to_string().trim_start_matches("r#").to_owned(),
        inner,
        is_optional,
        is_flattened: false,
        is_skipped: false,
        from: From::Primary,
        docs: docs(&field.attrs),
    };
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("request")) {
        attribute.parse_nested_meta(|meta| {
            match meta.path.get_ident().map(ToString::to_string).as_deref() {
                Some("path") => member.from = From::Path,
                Some("query") => member.from = From::Query,
                Some("idempotency_key") => member.from = From::IdempotencyKey,
                Some("if_match") => member.from = From::IfMatch,
                Some("flatten") => member.is_flattened = true,
                Some("skip") => member.is_skipped = true,
                _ => return Err(meta.error("there are: path, query, idempotency_key, if_match, flatten, skip")),
            }
            Ok(())
        })?;
    }
    if member.is_flattened && (member.from != From::Primary || member.is_optional) {
        return Err(Error::new_spanned(
            field,
            "the fields of a flattened struct say themselves where they come from and whether they may be missing",
        ));
    }
    Ok(member)
}

/// `T` of an `Option<T>`.
fn option_of(kind: &Type) -> Option<&Type> {
    let Type::Path(path) = kind else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    }
}

fn draft_name(input: &DeriveInput) -> Ident {
    format_ident!("{}Draft", input.ident)
}

fn draft(input: &DeriveInput, members: &[Member<'_>]) -> TokenStream {
    let (visibility, name) = (&input.vis, draft_name(input));
    let text = format!("A [`{}`] while it is read: each field missing, faulty or valid.", input.ident);
    let fields = members.iter().map(|Member { visibility, ident, inner, is_flattened, docs, .. }| {
        if *is_flattened {
            quote! { #[doc = #docs] #visibility #ident: <#inner as ::shared::request::Flatten>::Draft }
        } else {
            quote! { #[doc = #docs] #visibility #ident: ::shared::request::Draft<#inner> }
        }
    });
    quote! {
        #[doc = #text]
        #[derive(Debug, Default)]
        #visibility struct #name { #(#fields),* }
    }
}

/// `ReadFields` of the draft.
fn reading(input: &DeriveInput, members: &[Member<'_>]) -> TokenStream {
    let (output, name) = (&input.ident, draft_name(input));
    let arms: Vec<_> = members
        .iter()
        .filter(|member| !member.is_flattened)
        .filter_map(|Member { ident, name, from, .. }| {
            let source = match from {
                From::Path => return None,
                From::Query => quote!(_),
                _ => quote!(::shared::request::Source::Primary),
            };
            Some(quote! { (#name, #source) => self.#ident.read(value, at, faults), })
        })
        .collect();
    let flattened: Vec<_> = members.iter().filter(|member| member.is_flattened).map(|member| member.ident).collect();
    let path = members.iter().filter_map(|Member { ident, name, is_flattened, from, .. }| match (is_flattened, from) {
        (true, _) => Some(quote! { ::shared::request::ReadFields::set_path(&mut self.#ident, params, faults); }),
        (false, From::Path) => Some(quote! {
            if let ::core::option::Option::Some(param) = params.next() {
                let at = ::shared::request::At::Root;
                self.#ident.read(::shared::request::Value::Text(param), &at.member(#name), faults);
            }
        }),
        _ => None,
    });
    let headers = members.iter().filter_map(|Member { ident, name, is_flattened, from, .. }| {
        let settle = match (is_flattened, from) {
            (true, _) => {
                return Some(quote! { ::shared::request::ReadFields::set_headers(&mut self.#ident, parts, faults); });
            }
            (false, From::IdempotencyKey) => quote!(identify),
            (false, From::IfMatch) => quote!(match_etag),
            _ => return None,
        };
        Some(quote! { self.#ident.#settle(parts, &::shared::request::At::Root.member(#name), faults); })
    });
    let required = members.iter().filter_map(|Member { ident, name, is_flattened, is_optional, .. }| {
        if *is_flattened {
            return Some(quote! { ::shared::request::ReadFields::require(&self.#ident, at, faults); });
        }
        (!is_optional).then(|| quote! { self.#ident.require(&at.member(#name), faults); })
    });
    let values = members.iter().map(|Member { ident, is_optional, is_flattened, .. }| {
        let take = match (is_flattened, is_optional) {
            (true, _) => quote!(::shared::request::ReadFields::finish(self.#ident)),
            (false, true) => quote!(self.#ident.optional()),
            (false, false) => quote!(self.#ident.required()),
        };
        quote! { #ident: #take }
    });
    let others = quote! {
        false #(|| ::shared::request::ReadFields::set(&mut self.#flattened, source, name, value, at, faults))*
    };
    let set = if arms.is_empty() {
        others
    } else {
        quote! {
            match (name, source) {
                #(#arms)*
                _ => return #others,
            }
            true
        }
    };
    quote! {
        impl ::shared::request::ReadFields for #name {
            type Output = #output;

            #[allow(unused_variables)]
            fn set(
                &mut self,
                source: ::shared::request::Source,
                name: &str,
                value: ::shared::request::Value<'_>,
                at: &::shared::request::At<'_>,
                faults: &mut ::shared::request::Faults,
            ) -> bool {
                #set
            }

            #[allow(unused_variables)]
            fn set_path(
                &mut self,
                params: &mut ::shared::request::Params<'_>,
                faults: &mut ::shared::request::Faults,
            ) {
                #(#path)*
            }

            #[allow(unused_variables)]
            fn set_headers(&mut self, parts: &::shared::request::Parts<'_>, faults: &mut ::shared::request::Faults) {
                #(#headers)*
            }

            #[allow(unused_variables)]
            fn require(&self, at: &::shared::request::At<'_>, faults: &mut ::shared::request::Faults) {
                #(#required)*
            }

            fn finish(self) -> ::core::option::Option<#output> {
                ::core::option::Option::Some(#output { #(#values?),* })
            }
        }
    }
}

/// `FromRequest`, and what makes the request type a part of others.
fn from_request(input: &DeriveInput, container: &Container, members: &[Member<'_>]) -> TokenStream {
    let (name, draft) = (&input.ident, draft_name(input));
    let (title, docs) = (name.to_string(), docs(&input.attrs));
    let (generics, settings) = match &container.settings {
        Some(settings) => (quote!(), quote!(#settings)),
        None => (quote!(<S>), quote!(S)),
    };
    let check = match (&container.check, &container.settings) {
        (Some(check), Some(_)) => {
            quote!(|draft: &#draft, faults: &mut ::shared::request::Faults| #check(draft, settings, faults))
        }
        (Some(check), None) => quote!(#check),
        (None, _) => quote!(|_: &#draft, _: &mut ::shared::request::Faults| ()),
    };
    let from_request = quote! {
        impl #generics ::shared::request::FromRequest<#settings> for #name {
            #[allow(unused_variables)]
            fn from_request(
                parts: &::shared::request::Parts<'_>,
                primary: ::shared::request::Primary,
                settings: &#settings,
            ) -> ::core::result::Result<Self, ::shared::answer::Problem> {
                ::shared::request::read::<#draft>(parts, primary, #check)
            }

            #[cfg(not(target_arch = "wasm32"))]
            fn fields() -> ::shared::request::schema::Fields {
                <Self as ::shared::request::Flatten>::fields()
            }

            #[cfg(not(target_arch = "wasm32"))]
            fn bodies() -> ::std::vec::Vec<(&'static str, ::shared::serde_json::Value)> {
                ::std::vec![("application/json", <Self as ::shared::request::Flatten>::body_schema())]
            }
        }
    };
    let has_check = container.check.is_some();
    let flattened = members.iter().filter(|member| member.is_flattened).map(|member| member.inner);
    let field = is_field(container, members).then(|| field(name, &draft));
    let schemas = members.iter().map(|Member { name, inner, is_optional, is_flattened, from, docs, .. }| {
        if *is_flattened {
            return quote! { fields.extend(<#inner as ::shared::request::Flatten>::fields()); };
        }
        let from_name = match from {
            From::Primary => quote!(Primary),
            From::Path => quote!(Path),
            From::Query => quote!(Query),
            From::IdempotencyKey => quote!(IdempotencyKey),
            From::IfMatch => quote!(IfMatch),
        };
        let is_required = !is_optional && *from != From::IdempotencyKey;
        quote! {
            fields.push(::shared::request::schema::FieldSchema {
                name: #name,
                description: #docs,
                from: ::shared::request::schema::From::#from_name,
                is_required: #is_required,
                schema: <#inner as ::shared::request::Field>::schema(),
            });
        }
    });
    let entries = entries(members);
    quote! {
        #from_request

        // The rule of a flattened struct would never be asked.
        #(const _: () = assert!(
            !<#flattened as ::shared::request::Flatten>::HAS_CHECK,
            "a flattened struct has no check: the struct around it has"
        );)*

        impl ::shared::request::Flatten for #name {
            type Draft = #draft;

            const HAS_CHECK: bool = #has_check;

            #[cfg(not(target_arch = "wasm32"))]
            fn body_schema() -> ::shared::serde_json::Value {
                let fields = <Self as ::shared::request::Flatten>::fields();
                ::shared::request::schema::titled(#title, #docs, ::shared::request::schema::body(&fields))
            }

            #[cfg(not(target_arch = "wasm32"))]
            fn fields() -> ::shared::request::schema::Fields {
                let mut fields = ::shared::request::schema::Fields::new();
                #(#schemas)*
                fields
            }

            fn entries<M: ::shared::serde::ser::SerializeMap>(
                &self,
                map: &mut M,
            ) -> ::core::result::Result<(), M::Error> {
                #entries
                ::core::result::Result::Ok(())
            }
        }

        impl ::shared::serde::Serialize for #name {
            fn serialize<Z: ::shared::serde::Serializer>(
                &self,
                serializer: Z,
            ) -> ::core::result::Result<Z::Ok, Z::Error> {
                ::shared::request::serialize(self, serializer)
            }
        }

        #field
    }
}

/// Whether the request type can be a field of another one, an object in the body: if nothing of it has to come from
/// elsewhere, and no rule has to run once it is read.
fn is_field(container: &Container, members: &[Member<'_>]) -> bool {
    container.check.is_none() && members.iter().all(|member| member.from == From::Primary && !member.is_flattened)
}

/// `Field` of the request type.
fn field(name: &Ident, draft: &Ident) -> TokenStream {
    quote! {
        impl ::shared::request::Field for #name {
            fn parse(_: ::shared::request::Value<'_>) -> ::core::result::Result<Self, ::shared::answer::Fault> {
                ::core::result::Result::Err(::shared::request::NOT_AN_OBJECT)
            }

            fn read(
                value: ::shared::request::Value<'_>,
                at: &::shared::request::At<'_>,
                faults: &mut ::shared::request::Faults,
            ) -> ::core::option::Option<Self> {
                ::shared::request::read_object::<#draft>(value, at, faults)
            }

            #[cfg(not(target_arch = "wasm32"))]
            fn schema() -> ::shared::serde_json::Value {
                <Self as ::shared::request::Flatten>::body_schema()
            }
        }
    }
}

/// The members of the request type as parameters of the database function. What was not sent is not sent on.
fn entries(members: &[Member<'_>]) -> TokenStream {
    let sent = members.iter().filter(|member| !member.is_skipped);
    let entries = sent.map(|Member { ident, name, is_optional, is_flattened, .. }| {
        if *is_flattened {
            quote! { ::shared::request::Flatten::entries(&self.#ident, map)?; }
        } else if *is_optional {
            quote! {
                if let ::core::option::Option::Some(value) = &self.#ident {
                    map.serialize_entry(#name, value)?;
                }
            }
        } else {
            quote! { map.serialize_entry(#name, &self.#ident)?; }
        }
    });
    quote! { #(#entries)* }
}
