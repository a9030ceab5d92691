"""The rules about a request's parameters: every field except the conversation itself.

known_fields                what each field holds, and its range
form_values, dependent_fields, stops    values from forms, fields that need another field, stop strings
bounds                      requests for too much, rejected
tool_shapes, tool_types, tool_schemas, tool_choice, tool_support    tools
efforts, thinking_budgets, thinking_fields    how long a model thinks
media, media_addresses, image_bytes    images, audio and video: their addresses and their first bytes
token_ids                   token ids as the input of embeddings
"""
