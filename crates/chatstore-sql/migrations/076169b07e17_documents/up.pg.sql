create table documents (
  owner_id uuid not null,
  id uuid not null,
  title text collate "C",
  metadata jsonb not null,
  revision bigint not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  content jsonb not null,
  constraint pk_documents primary key (owner_id, id),
  constraint fk_documents_owner_id foreign key (owner_id) references users (id) on delete cascade
);
create index ix_documents_created_at on documents (owner_id, created_at desc, id desc);
create index ix_documents_title on documents (owner_id, title, created_at desc, id desc);
create index ix_documents_content on documents using gin (content jsonb_path_ops);
create index ix_documents_metadata on documents using gin (metadata jsonb_path_ops);
