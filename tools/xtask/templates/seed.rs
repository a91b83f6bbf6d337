    let {{stem}} = json!({ "id": Uuid::new_v4(), "text": secret });
    assert_eq!(person.rpc("save_{{stem}}", &{{stem}}).await.status, 201, "save_{{stem}}");
