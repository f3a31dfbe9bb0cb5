-- Prose on its way to HTML: no page may ask the network for a picture, and wide tables scroll by themselves.

function Image(element)
  if element.src:match("^data:") then
    return element
  end
  return pandoc.Link(element.caption, element.src)
end

function Table(element)
  return pandoc.Div({ element }, { class = "scroll" })
end

-- Prose is also computed from data, and data must not become markup: tags are shown, not obeyed.
function RawInline(element)
  return element.format == "html" and pandoc.Str(element.text) or element
end

function RawBlock(element)
  return element.format == "html" and pandoc.Para({ pandoc.Str(element.text) }) or element
end
