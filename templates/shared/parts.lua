-- The first filter of every report, for both targets. The input is one code block with JSON: the pieces of prose, the
-- numbers of tables and figures by label, the keys of the bibliography. Out come the pieces, with a mark after each,
-- in which @tbl-x is a link to a table and [@key] a citation for citeproc, which runs next. Each piece is read by
-- itself, so that none can swallow the next; footnotes are numbered over all of them by the writer.

local FORMAT = "gfm-raw_html-autolink_bare_uris-emoji-yaml_metadata_block+tex_math_dollars+alerts+footnotes"
-- What stands for an @ that is no mark: written \@, or any within prose that may hold none (see markup.py).
local ESCAPED, PLAIN = utf8.char(0xE000), utf8.char(0xE001)

local target, labels, keys
local missing, seen_missing = pandoc.List(), {}
local seen_ids = {}

local function lacking(name)
  if not seen_missing[name] then
    seen_missing[name] = true
    missing:insert(name)
  end
  if target == "html" then
    local said = name:gsub('[&<>"]', { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" })
    return pandoc.RawInline("html", '<strong class="missing" title="' .. said .. '">??</strong>')
  end
  return pandoc.RawInline("typst", '#text(fill: rgb("#a3161d"), weight: "bold")[??]')
end

local function reference(label)
  local name = labels[label]
  if not name then
    return lacking("@" .. label)
  end
  if target == "html" then
    return pandoc.RawInline("html", '<a class="reference" href="#' .. label .. '">' .. name .. "</a>")
  end
  -- A link to where the label is, if it is anywhere: one to a label that is not stops the compiler.
  return pandoc.RawInline(
    "typst",
    '#context { let found = query(label("' .. label .. '")); if found.len() > 0 { link(found.first().location())['
      .. name .. "] } else [" .. name .. "] };"
  )
end

-- A word with marks in it, such as "(see" or "@tbl-coef,": text, and links for the marks.
local function word(text)
  local out, from = pandoc.List(), 1
  while true do
    local first, last, before, name = text:find("([^%w_]?)@([%a][%w_:.-]*)", from)
    local inside_word = first and before == "" and first > 1
    if not first then
      break
    elseif inside_word then -- as in a@b.c
      out:insert(pandoc.Str(text:sub(from, last)))
      from = last + 1
    else
      local bare = name:gsub("[:.-]+$", "")
      last = last - (#name - #bare)
      local lead = text:sub(from, first - 1) .. before
      if lead ~= "" then
        out:insert(pandoc.Str(lead))
      end
      if bare:match("^tbl%-") or bare:match("^fig%-") then
        out:insert(reference(bare))
      elseif keys[bare] then
        local cited = pandoc.Citation(bare, "AuthorInText")
        out:insert(pandoc.Cite({ pandoc.Str("@" .. bare) }, { cited }))
      else
        out:insert(lacking("@" .. bare))
      end
      from = last + 1
    end
  end
  if from <= #text then
    out:insert(pandoc.Str(text:sub(from)))
  end
  return out
end

-- "[@a; @b, p. 3]" as pandoc's own Markdown reads it; nothing if that is not what it is.
local function citation(text)
  local read = pandoc.read(text, "markdown_strict+citations").blocks
  local made = read[1] and #read == 1 and #read[1].content == 1 and read[1].content[1]
  if not made or made.t ~= "Cite" then
    return nil
  end
  local known = pandoc.List()
  local out = pandoc.List()
  for _, one in ipairs(made.citations) do
    if one.id:match("^tbl%-") or one.id:match("^fig%-") then
      return nil
    elseif keys[one.id] then
      known:insert(one)
    else
      out:insert(lacking("@" .. one.id))
    end
  end
  if #known > 0 then
    made.citations = known
    out:insert(1, made)
  end
  return out
end

local function is_gap(inline)
  return inline.t == "Space" or inline.t == "SoftBreak"
end

-- Where the brackets close that open at `start`: the place and all between as text, if it is words only.
local function bracket(inlines, start, opening)
  local text = inlines[start].text:sub(opening)
  local place = start
  while not text:find("]", 1, true) do
    place = place + 1
    local one = inlines[place]
    if not one or not (is_gap(one) or one.t == "Str") then
      return nil
    end
    text = text .. (one.t == "Str" and one.text or " ")
  end
  local close = text:find("]", 1, true)
  return place, text:sub(1, close), text:sub(close + 1)
end

local function marks(inlines)
  local out, place = pandoc.List(), 1
  while place <= #inlines do
    local one = inlines[place]
    local opening = one.t == "Str" and one.text:find("[", 1, true)
    local last, inside, rest
    if opening then
      last, inside, rest = bracket(inlines, place, opening)
    end
    local cited = inside and inside:find("@", 1, true) and citation(inside)
    if cited then
      out:extend(word(one.text:sub(1, opening - 1)))
      out:extend(cited)
      inlines[last] = pandoc.Str(rest)
      place = last
      if rest == "" then
        place = place + 1
      end
    else
      if one.t == "Str" and one.text:find("@", 1, true) then
        out:extend(word(one.text))
      else
        out:insert(one)
      end
      place = place + 1
    end
  end
  return out
end

local function in_text(text)
  return (text:gsub(ESCAPED, "@"):gsub(PLAIN, "@"))
end

local function in_code(text)
  return (text:gsub(ESCAPED, "\\@"):gsub(PLAIN, "@"))
end

local function code(element)
  element.text = in_code(element.text)
  return element
end

-- Tags are shown, not obeyed: prose is also computed from data, and pandoc passes raw HTML on whatever the format says.
local without_tags = {
  RawInline = function(element)
    return pandoc.Str(element.text)
  end,
  RawBlock = function(element)
    return pandoc.Para({ pandoc.Str(element.text) })
  end,
}

local resolve = {
  traverse = "topdown",
  Inlines = function(inlines)
    return marks(inlines), true
  end,
  Link = function(element)
    return element, false -- no link within a link
  end,
  Image = function(element)
    return element, false
  end,
  Cite = function(element)
    return element, false -- made just now
  end,
  Header = function(element)
    local id = element.identifier
    local count = (seen_ids[id] or 0) + 1
    seen_ids[id] = count
    if count > 1 then
      element.identifier = id .. "-" .. (count - 1)
      seen_ids[element.identifier] = 1
    end
    return element
  end,
}

local restore = {
  Str = function(element)
    element.text = in_text(element.text)
    return element
  end,
  Code = code,
  CodeBlock = code,
  Math = code,
  Link = function(element)
    element.target, element.title = in_text(element.target), in_text(element.title)
    return element
  end,
  Image = function(element)
    element.src, element.title = in_text(element.src), in_text(element.title)
    return element
  end,
}

function Pandoc(document)
  local given = pandoc.json.decode(document.blocks[1].text, false)
  target, labels, keys = given.target, given.labels, {}
  for _, key in ipairs(given.keys) do
    keys[key] = true
  end
  local mark = pandoc.RawBlock(target, given.mark)
  local blocks = pandoc.List()
  for _, part in ipairs(given.parts) do
    local read = pandoc.read(part, FORMAT, nil, {})
    local made = pandoc.Pandoc(read.blocks):walk(without_tags):walk(resolve):walk(restore)
    blocks:extend(made.blocks)
    blocks:insert(mark)
  end
  local names = pandoc.json.encode(missing)
  blocks:insert(pandoc.RawBlock(target, #missing > 0 and names or "[]"))
  blocks:insert(mark)
  blocks:insert(pandoc.Div({}, { id = "refs" }))
  document.meta["link-citations"] = true
  return pandoc.Pandoc(blocks, document.meta)
end
